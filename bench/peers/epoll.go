package peers

import (
	"bytes"
	"crypto/tls"
	"net"
	"syscall"
)

// epollServer is a loop over sockets that does nothing but what must be done:
// for each read one write, to the sender or to everybody.
type epollServer struct {
	epoll    int
	listener int
	clients  map[int32]*epollClient
	room     []*epollClient
	in, out  []byte
}

type epollClient struct {
	fd      int
	open    bool // the handshake is over
	chat    bool
	partial []byte
}

func serveEpoll(addr string, _ *tls.Config) error {
	l, err := net.Listen("tcp", addr) //nolint:noctx // until the process ends
	if err != nil {
		return err
	}
	defer func() { _ = l.Close() }() // nothing is left to be done
	file, err := l.(*net.TCPListener).File()
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // and not before: a collected file is closed
	s := &epollServer{
		listener: int(file.Fd()),
		clients:  make(map[int32]*epollClient),
		in:       make([]byte, 64<<10),
	}
	if s.epoll, err = syscall.EpollCreate1(0); err != nil {
		return err
	}
	if err := syscall.SetNonblock(s.listener, true); err != nil {
		return err
	}
	if err := s.watch(s.listener); err != nil {
		return err
	}
	return s.loop()
}

func (s *epollServer) watch(fd int) error {
	event := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(fd)}
	return syscall.EpollCtl(s.epoll, syscall.EPOLL_CTL_ADD, fd, &event)
}

func (s *epollServer) loop() error {
	var events [512]syscall.EpollEvent
	for {
		n, err := syscall.EpollWait(s.epoll, events[:], -1)
		if err != nil && err != syscall.EINTR {
			return err
		}
		for i := range max(n, 0) {
			if fd := events[i].Fd; int(fd) == s.listener {
				err = s.accept()
			} else {
				err = s.receive(s.clients[fd])
			}
			if err != nil {
				return err
			}
		}
	}
}

func (s *epollServer) accept() error {
	for {
		fd, _, err := syscall.Accept4(s.listener, syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
		if err == syscall.EAGAIN {
			return nil
		}
		if err != nil {
			return err
		}
		if err := syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1); err != nil {
			return err
		}
		s.clients[int32(fd)] = &epollClient{fd: fd}
		if err := s.watch(fd); err != nil {
			return err
		}
	}
}

func (s *epollServer) receive(c *epollClient) error {
	kept := copy(s.in, c.partial)
	n, err := syscall.Read(c.fd, s.in[kept:])
	if err != nil || n == 0 {
		s.room = remove(s.room, c)
		delete(s.clients, int32(c.fd))
		return syscall.Close(c.fd)
	}
	p := s.in[:kept+n]
	if !c.open {
		return s.handshake(c, p)
	}
	s.out, p = answer(s.out[:0], p)
	c.partial = append(c.partial[:0], p...)
	if len(s.out) == 0 {
		return nil
	}
	if !c.chat {
		_, _ = syscall.Write(c.fd, s.out) // no checks
		return nil
	}
	for _, member := range s.room {
		_, _ = syscall.Write(member.fd, s.out) // no checks
	}
	return nil
}

func (s *epollServer) handshake(c *epollClient, p []byte) error {
	if !bytes.HasSuffix(p, []byte("\r\n\r\n")) {
		c.partial = append(c.partial[:0], p...)
		return nil
	}
	c.open, c.partial = true, nil
	if c.chat = bytes.HasPrefix(p, []byte("GET /chat ")); c.chat {
		s.room = append(s.room, c)
	}
	_, err := syscall.Write(c.fd, []byte(switching))
	return err
}
