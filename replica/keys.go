package replica

// keys remembers the newest operations that had a key of their own, oldest first. A
// key is one record:
//
//	name    16 bytes
//	digest   8 bytes, of the operation
type keys struct{ records []byte }

const (
	maxKeys = 1024
	keySize = 24
)

// find returns the digest of the operation that had a key.
func (k *keys) find(n name) (d digest, ok bool) {
	for p := k.records; len(p) > 0; p = p[keySize:] {
		if name(p[:16]) == n {
			return digest(p[16:keySize]), true
		}
	}
	return d, false
}

// add remembers a key, for which the oldest one is forgotten if need be.
func (k *keys) add(n name, d digest) {
	if len(k.records) >= maxKeys*keySize {
		k.records = k.records[:copy(k.records, k.records[keySize:])]
	}
	k.records = append(append(k.records, n[:]...), d[:]...)
}
