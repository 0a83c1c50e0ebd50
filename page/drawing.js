// Drawing: at most once a frame, and not at all in a hidden tab.

let frame = 0;

function later() { frame ||= requestAnimationFrame(draw); }

function draw() {
	frame = 0;
	if (values.size) drawValues();
	if (fresh.length) drawMessages();
	$("list").hidden = values.size > 0 && !$("messages").firstChild;
}
