package bolt

import (
	"os"
	"path/filepath"
)

// maxLinks is how many symbolic links a path may lead over.
const maxLinks = 40

// resolve makes a path absolute and resolves its symbolic links, also where what
// they lead to does not exist yet.
func resolve(path string) string {
	full, err := filepath.Abs(path)
	if err != nil {
		return path // opening it will tell
	}
	return follow(full, maxLinks)
}

func follow(path string, links int) string {
	if full, err := filepath.EvalSymlinks(path); err == nil {
		return full
	}
	folder := filepath.Dir(path)
	if folder == path || links == 0 {
		return path
	}
	folder = follow(folder, links-1)
	target, err := os.Readlink(path)
	switch {
	case err != nil:
		return filepath.Join(folder, filepath.Base(path))
	case !filepath.IsAbs(target):
		target = filepath.Join(folder, target)
	}
	return follow(target, links-1)
}
