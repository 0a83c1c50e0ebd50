// Drawing: at most once a frame, and not at all in a hidden tab.

let frame = 0;

function later() { frame ||= requestAnimationFrame(draw); }

function draw() {
	frame = 0;
	$("shown").hidden = !values.size;
	$("empty").hidden = version !== "0" || shown.length > 0; // nothing has come since the room began
	$("keys").hidden = kind !== "meter";
	$("table").hidden = kind !== "table";
	if (values.size) drawValues();
	if (kind) drawRate();
	if (kind === "meter") {
		drawKeys();
		drawAlerts();
	}
	if (kind === "table") drawTable();
	drawMessages();
	$("list").hidden = hasState() && !shown.length;
}
