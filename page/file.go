package page

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"
)

// File is a page that is a file of the site. It is read again when it has changed, so
// that whoever edits it sees the change with the next request.
type File struct {
	path string
	last atomic.Pointer[reading]
}

// reading is a file as it was read.
type reading struct {
	size     int64
	modified time.Time
	document *Document
}

var errNotRegular = errors.New("it is no regular file")

// Open returns the page in a file, which must be readable, hold UTF-8 and have at most
// [MaxSize] bytes. The error names the file.
func Open(path string) (*File, error) {
	f := &File{path: path}
	if _, err := f.Document(); err != nil {
		return nil, err
	}
	return f, nil
}

// Document returns the file as it is now. It may be called from many goroutines. A file that is being written can be found
// half: whoever minds puts the new one beside it and renames it.
func (f *File) Document() (*Document, error) {
	info, err := os.Stat(f.path) // before it is opened: opening a pipe would wait
	if err != nil {
		return nil, fmt.Errorf("page file: %w", err)
	}
	if last := f.last.Load(); last != nil && last.size == info.Size() && last.modified.Equal(info.ModTime()) {
		return last.document, nil
	}
	document, err := read(f.path, info)
	if err != nil {
		return nil, fmt.Errorf("page file %s: %w", f.path, err)
	}
	f.last.Store(&reading{info.Size(), info.ModTime(), document})
	return document, nil
}

// read reads a file, but not more of it than a page may have.
func read(path string, info os.FileInfo) (*Document, error) {
	if !info.Mode().IsRegular() {
		return nil, errNotRegular
	}
	file, err := os.Open(path) //nolint:gosec // the operator names it in the configuration
	if err != nil {
		return nil, errors.Unwrap(err) // the path is named already
	}
	text, err := io.ReadAll(io.LimitReader(file, MaxSize+1))
	_ = file.Close() // it was read only
	if err != nil {
		return nil, err
	}
	return Own(text)
}
