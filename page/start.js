// What happens when the page has been read.

say("name", called);
say("place", location.host + location.pathname);
say("empty", `Nothing has come here yet. What was sent to another address of this server than ${location.host} may be in another room.`);
if (document.body.dataset.readonly) readOnly();
showStatus();
