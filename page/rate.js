// How often the state changes.

const minute = 60e3;
let changes = []; // of the last minute: {time, count}

// noteChanges counts the versions that lie between two messages.
function noteChanges(sameEpoch, before, now) {
	const count = sameEpoch ? Number(now) - Number(before) : 0;
	if (count > 0) changes.push({time: Date.now(), count});
}

function drawRate() {
	const since = Date.now() - minute;
	changes = changes.filter(change => change.time > since);
	put($("changes"), version ?? "");
	put($("rate"), String(changes.reduce((sum, change) => sum + change.count, 0)));
	$("counts").hidden = version === undefined;
}
setInterval(() => changes.length && later(), 5e3); // they grow old
