package bolt

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"
	"go.uber.org/zap"
)

// createFile makes a file without rooms, so that a crash leaves all of it or none.
func createFile(path string) error {
	temporary, err := makeNew(path)
	if err != nil {
		return err
	}
	if err := os.Rename(temporary, path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// fillFile makes a file without rooms of an empty one, as somebody makes it who prepares
// owner, mode or a mount. Such a file has never had rooms, as what this engine puts in
// place is complete and on disk, and never gets shorter: there is nothing to lose.
// Rights that fileMode lacks are taken away.
func fillFile(path string, empty fs.FileInfo) error {
	logger().Warn("the file of rooms was empty: it begins without rooms", zap.String("file", path))
	temporary, err := makeNew(path)
	if err != nil {
		return err
	}
	mode := empty.Mode().Perm() & fileMode
	if adopt(temporary, empty, mode) == nil && os.Rename(temporary, path) == nil {
		return syncFolder(filepath.Dir(path))
	}
	return writeOver(path, temporary, mode)
}

// makeNew makes a file without rooms beside the one that the path names.
func makeNew(path string) (temporary string, err error) {
	temporary = path + newSuffix
	if err := removeIfThere(temporary); err != nil {
		return "", err
	}
	if err := guard(func() error { return writeEmpty(temporary) }); err != nil {
		_ = os.Remove(temporary)
		return "", err
	}
	return temporary, nil
}

func writeEmpty(path string) error {
	db, err := bbolt.Open(path, fileMode, &bbolt.Options{Timeout: bboltTimeout})
	if err != nil {
		return err
	}
	return errors.Join(db.Update(createTables), db.Close())
}

// writeOver writes into a file that cannot be replaced what the temporary one has, which
// is removed. It does so in one write, as a part would be refused.
func writeOver(path, temporary string, mode fs.FileMode) error {
	p, err := os.ReadFile(temporary) //nolint:gosec // the operator names the file
	if err != nil {
		return err
	}
	if err := os.Remove(temporary); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_WRONLY, 0) //nolint:gosec // the operator names the file
	if err != nil {
		return err
	}
	_ = file.Chmod(mode) // of which a mount may know nothing
	if _, err = file.Write(p); err != nil {
		_ = file.Truncate(0)
	}
	return errors.Join(err, file.Sync(), file.Close())
}
