// What happens when the page has been read.

say("name", called);
say("place", location.host + location.pathname);
connect();
