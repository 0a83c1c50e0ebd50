package room

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/message"
)

// What is published in a room here is published to other processes, too: the messages of one
// turn as one, behind their back. One goroutine does so for all rooms, which lives while there
// is something to say, so that no turn waits for the engine. The publishers are held until
// it has taken their messages, but not while it cannot be reached: then what they say is lost
// to others.

const (
	// maxSpeech bounds what waits to be said to others, of all rooms of a hub, in bytes.
	maxSpeech = 64 << 20
	// speakPatience is how long an engine that was there is waited for.
	speakPatience = 250 * time.Millisecond
)

// others is how a hub reaches the other processes.
type others struct {
	engine engines.Shared
	most   int // bytes of one message to them
}

// SetOthers has rooms hear of other processes, and those of them, by an engine that takes
// messages of at most so many bytes.
func (s *Shared) SetOthers(engine engines.Shared, most int) { s.others.Store(&others{engine, most}) }

// HasOthers reports whether other processes may use the rooms.
func (s *Shared) HasOthers() bool { return s.others.Load() != nil }

// speech is what was published in a room in one turn.
type speech struct {
	key   engines.Key
	relay message.Relay
	holds []hold // released when it is said
}

// speaker says to other processes what waits.
type speaker struct {
	mu sync.Mutex
	// Guarded by mu.
	waiting  []speech
	size     int // bytes of what waits, or is being said
	speaking bool

	failed bool // the last try has; owned by the one that speaks
}

// ErrTooLarge is of a message that no other process can be told.
var ErrTooLarge = errors.New("a message is larger than the engine takes")

// relay notes that others are to be told what is published in this room. All are told the same
// time. Room.mu is held.
func (r *Room) relay(said *message.Message) {
	o := r.shared.others.Load()
	if o == nil {
		return
	}
	if said.Sent = time.Now(); !r.outbox.relay.Add(*said, o.most) {
		r.shared.warn("what was published is not heard by other nodes", r.key, ErrTooLarge)
	}
}

// SayTo tells other processes, if there are any, a message for a room that is not in memory
// here. It does not wait. Closing has not begun. The error is ErrTooLarge.
func (s *Shared) SayTo(key engines.Key, msg apps.Message) error {
	o := s.others.Load()
	if o == nil {
		return nil
	}
	sp := speech{key: key}
	if !sp.relay.Add(message.Message{Text: msg.Data, Binary: msg.Binary, JSON: msg.JSON, Sent: time.Now()}, o.most) {
		return ErrTooLarge
	}
	s.speak(sp)
	return nil
}

// speak has a speech said when it comes to it.
func (s *Shared) speak(sp speech) {
	size := sp.relay.Size()
	s.speaker.mu.Lock()
	fits := s.speaker.size+size <= maxSpeech
	if fits {
		s.speaker.size += size
		s.speaker.waiting = append(s.speaker.waiting, sp)
		if !s.speaker.speaking {
			s.speaker.speaking = true
			s.Go(s.speakOn)
		}
	}
	s.speaker.mu.Unlock()
	if !fits {
		s.lost(sp, errTooMuch)
	}
}

// speakOn says what waits until nothing does.
func (s *Shared) speakOn() {
	for all := s.speaker.next(); len(all) > 0; all = s.speaker.next() {
		for _, sp := range all {
			err := s.say(sp)
			s.speaker.spoken(sp)
			if err != nil {
				s.lost(sp, err)
				continue
			}
			releaseAll(sp.holds)
		}
	}
}

// spoken makes room for others.
func (k *speaker) spoken(sp speech) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.size -= sp.relay.Size()
}

// next takes what waits. Without anything it ends the speaking.
func (k *speaker) next() (all []speech) {
	k.mu.Lock()
	defer k.mu.Unlock()
	all, k.waiting = k.waiting, nil
	k.speaking = len(all) > 0
	return all
}

// say publishes a speech. While the engine cannot be reached it does not wait.
func (s *Shared) say(sp speech) error {
	patience := speakPatience
	if s.speaker.failed {
		patience = 0
	}
	ctx, cancel := context.WithTimeout(s.Context, patience)
	defer cancel()
	for _, part := range sp.relay.Parts() {
		if err := s.publish(ctx, sp.key, part); err != nil {
			s.speaker.failed = true
			return err
		}
	}
	s.speaker.failed = false
	return nil
}

func (s *Shared) publish(ctx context.Context, key engines.Key, part []byte) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errEnginePanic
		}
	}()
	return s.others.Load().engine.Publish(ctx, key, part)
}

// lost gives up what others cannot be told.
func (s *Shared) lost(sp speech, err error) {
	releaseAll(sp.holds)
	if s.Store.Failed != nil {
		s.Store.Failed("publish")
	}
	s.warn("what was published is not heard by other nodes", sp.key, err)
}
