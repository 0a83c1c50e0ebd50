// The name of the tab: the value, or the state of the connection, and where it is from.

const called = document.body.dataset.title || nameOf(location.pathname) || location.host;

// nameOf returns the last part of a path.
function nameOf(path) {
	const last = path.split("/").findLast(part => part) ?? "";
	try { return decodeURIComponent(last); } catch { return last; }
}

// entitle names the tab. What is not live any more is not shown there.
function entitle() {
	let first = "";
	if (document.body.dataset.state !== "open") first = $("state").textContent;
	else if (values.size) first = withUnit(spaced(current(chosen)), unitOf(chosen));
	if (raised.size) first = "⚠ " + first;
	document.title = [first, called, location.host].filter((part, i, all) => part && all.indexOf(part) === i).join(" – ");
}
