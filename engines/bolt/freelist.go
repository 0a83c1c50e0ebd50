package bolt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// The list of free pages: the head of a page (its number in 8 bytes, flags in 2, number
// of entries in 2, and of further pages in 4), and the free pages in ascending order, 8
// bytes each. If there are many, the first entry is their number.
const (
	freeListFlag = 0x10
	manyEntries  = 0xFFFF
)

var errFreeList = fmt.Errorf("%w, in its list of free pages", errNoRooms)

// checkFreeList returns an error if the list of free pages cannot be read. On one that cannot
// bbolt panics while it opens the file, with no way to close it.
func checkFreeList(file io.ReaderAt, m meta) error {
	order := binary.NativeEndian
	at := m.free * m.pageSize
	head := make([]byte, pageHeader+8)
	if err := readPart(file, head, at); err != nil {
		return err
	}
	entries, at := int64(order.Uint16(head[10:])), at+pageHeader
	if entries == manyEntries {
		entries, at = int64(order.Uint64(head[pageHeader:])), at+8
	}
	if int64(order.Uint64(head)) != m.free || order.Uint16(head[8:]) != freeListFlag || entries < 0 || entries > m.pages {
		return errFreeList
	}
	list := make([]byte, 8*entries)
	if err := readPart(file, list, at); err != nil {
		return err
	}
	last := uint64(1) // the pages 0 and 1 are never free
	for ; len(list) > 0; list = list[8:] {
		page := order.Uint64(list)
		if page <= last || page >= uint64(m.pages) {
			return errFreeList
		}
		last = page
	}
	return nil
}

// readPart reads all of p, which is damage where the file has ended.
func readPart(file io.ReaderAt, p []byte, at int64) error {
	_, err := file.ReadAt(p, at)
	if errors.Is(err, io.EOF) {
		return errFreeList
	}
	return err
}
