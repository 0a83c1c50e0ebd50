package bolt

import "testing"

func BenchmarkOpen(b *testing.B) {
	path := temporary(b)
	e, _ := tryOpen(path)
	e.Close()
	for b.Loop() {
		e, err := tryOpen(path)
		if err != nil {
			b.Fatal(err)
		}
		e.Close()
	}
}
