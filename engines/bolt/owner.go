package bolt

import (
	"fmt"
	"io/fs"
	"os"
)

// adopt gives a new file, which is to replace another one, the owner and the group of
// that, and a mode. A file that root replaces stays the file of Caddy's user.
func adopt(path string, other fs.FileInfo, mode fs.FileMode) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if user, group, ok := owner(other); ok && !sameOwner(info, other) {
		if err := os.Chown(path, user, group); err != nil {
			return fmt.Errorf("keeping its owner: %w", err)
		}
	}
	return os.Chmod(path, mode)
}

func sameOwner(a, b fs.FileInfo) bool {
	user, group, _ := owner(a)
	otherUser, otherGroup, _ := owner(b)
	return user == otherUser && group == otherGroup
}
