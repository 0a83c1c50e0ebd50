package blackbox

import (
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const backupConfig = `GLOBAL
		admin 127.0.0.1:OTHERPORT
		websocket {
			drain off
		}
	END
	:PORT {
		websocket /sum/* {
			app sum
			room {path}
		}
	}`

// backup has the server copy its rooms.
func (s *server) backup(t *testing.T, file string) (output string, err error) {
	t.Helper()
	p, err := s.command(t, nil, "websocket", "backup", file, "--address", "127.0.0.1:"+strconv.Itoa(s.OtherPort)).CombinedOutput()
	return string(p), err
}

// restore puts a copy in the place of the rooms of a server that has ended, and starts
// it.
func (s *server) restore(t *testing.T, file string) {
	t.Helper()
	content := read(t, file)
	if err := os.Remove(s.rooms()); err != nil {
		t.Fatal(err)
	}
	overwrite(t, s.rooms(), content)
	s.again(t)
}

// follower adds 1 to a room, then to another, and so on.
func (s *server) follower(t *testing.T, first, second string) (stop func()) {
	told, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			for _, path := range []string{first, second} {
				status, _, err := s.send(path)
				if err != nil || status != http.StatusOK {
					t.Errorf("POST %s: %d, %v", path, status, err)
					return
				}
			}
			select {
			case <-told:
				return
			default:
			}
		}
	}()
	return func() {
		close(told)
		<-done
	}
}

// send adds 1, in any goroutine.
func (s *server) send(path string) (status int, body string, err error) {
	request, err := http.NewRequest(http.MethodPost, s.url(path), strings.NewReader("1"))
	if err != nil {
		return 0, "", err
	}
	return s.fetch(request)
}

// A backup that is made while clients write is of one moment. Restored, it has exactly
// the totals of then, each time, and every room has another epoch than before.
func TestBackupUnderLoad(t *testing.T) {
	s := start(t, backupConfig)
	early := s.sender(t, "/sum/0", true).do(operation{id: "early:1", value: "1"})
	c, paths := new(crew), []string{"/sum/first", "/sum/second"}
	for i := range 20 {
		path := "/sum/" + strconv.Itoa(i%4)
		c.add(writer{name: "w" + strconv.Itoa(i), path: path, ids: true, post: i%3 == 0, value: one})
		if i < 4 {
			paths = append(paths, path)
		}
	}
	c.begin(s.address())
	stop := s.follower(t, "/sum/first", "/sum/second")
	c.until(t, 200)
	before := s.states(t, paths)
	copied := filepath.Join(s.dir, "copy.db")
	if output, err := s.backup(t, copied); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	after := s.states(t, paths)
	c.until(t, 200)
	stop()
	c.resting.Store(true)
	c.wait(t)
	if output, err := s.backup(t, copied); err == nil {
		t.Errorf("a backup has overwritten another:\n%s", output)
	}
	s.stop()

	s.restore(t, copied)
	restored := s.states(t, paths)
	for _, path := range paths {
		now := restored[path]
		if now.Version < before[path].Version || now.Version > after[path].Version || now.Total.String() != strconv.FormatUint(now.Version, 10) {
			t.Errorf("%s was %s, then %s, and is restored as %s", path, before[path].raw, after[path].raw, now.raw)
		}
		s.isAnotherLife(t, path, before[path].Epoch, now)
	}
	if first, second := restored["/sum/first"].Version, restored["/sum/second"].Version; first != second && first != second+1 {
		t.Errorf("the copy is of two moments: %d, then %d", first, second)
	}
	s.ids(t, early, before["/sum/0"])
	s.stop()

	s.restore(t, copied)
	for _, path := range paths {
		now := s.state(t, path)
		if now.Total != restored[path].Total || now.Epoch == restored[path].Epoch || now.Epoch == before[path].Epoch {
			t.Errorf("%s is restored as %s, then as %s", path, restored[path].raw, now.raw)
		}
	}
}

func (s *server) states(t *testing.T, paths []string) map[string]told {
	t.Helper()
	all := make(map[string]told)
	for _, path := range paths {
		all[path] = s.state(t, path)
	}
	return all
}

// isAnotherLife expects the state not to be taken for one of an earlier epoch with
// the same version.
func (s *server) isAnotherLife(t *testing.T, path, epoch string, now told) {
	t.Helper()
	old := epoch + "-" + strconv.FormatUint(now.Version, 10)
	for etag, want := range map[string]int{old: http.StatusOK, now.point(): http.StatusNotModified} {
		if a := s.ask(t, http.MethodGet, path, "", `If-None-Match: "`+etag+`"`); a.status != want {
			t.Errorf("%s, If-None-Match: %s: %d, want %d", path, etag, a.status, want)
		}
	}
	e := s.events(t, path, "Last-Event-ID: "+old)
	if got := e.next(); got.id != now.point() || got.data != now.Total.String() {
		t.Errorf("%s, Last-Event-ID: %s: %+v, want %s", path, old, got, now.point())
	}
	e.response.Body.Close()
}

// ids expects the restored room to know what it has counted, and not to take for new
// what was made in its earlier life.
func (s *server) ids(t *testing.T, early told, before told) {
	t.Helper()
	c := s.sender(t, "/sum/0", true)
	if a := c.do(operation{id: "early:1", value: "1"}); !a.Repeat || a.Version < early.Version {
		t.Errorf("an early operation is answered with %s", a.raw)
	}
	if a := c.do(operation{id: "late:1", at: before.point(), value: "1"}); a.status != http.StatusConflict || a.Code != "may_have_counted" {
		t.Errorf("an operation of before is answered with %d %s", a.status, a.raw)
	}
	now := s.state(t, "/sum/0")
	if a := c.do(operation{id: "late:1", at: now.point(), value: "0"}); a.status != http.StatusOK || a.Repeat {
		t.Errorf("an operation of now is answered with %d %s", a.status, a.raw)
	}
}
