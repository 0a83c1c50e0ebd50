package replica

import (
	"strconv"
	"strings"
)

// Point is a place in the order of a room: a version, within the life of a state.
// The zero Point is none.
type Point struct {
	Epoch   string
	Version uint64
}

// ParsePoint reads a point as clients are shown it, "<epoch>-<version>". An error
// has [CodeBadID].
func ParsePoint(s string) (Point, error) {
	epoch, digits, _ := strings.Cut(s, "-")
	version, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || epoch == "" {
		return Point{}, badID("a point has the form <epoch>-<version>")
	}
	return Point{Epoch: epoch, Version: version}, nil
}
