// A meter: folds of all readings, and the newest reading of each key.

const folds = ["count", "sum", "min", "max", "mean", "last"];
const ofReadings = ["min", "max", "last"]; // folds that are one of the readings
const keys = new Map();  // key -> its newest reading
let limits = [];         // what raises alerts: {alert, each, fold, level, above, shared}

const isObject = v => v !== null && typeof v === "object" && !Array.isArray(v) && !(v instanceof Decimal);

const isMeter = message => isObject(message.keys) && message.count instanceof Decimal && folds.every(name => name in message);

function takeMeter(message) {
	if (Array.isArray(message.thresholds)) limits = message.thresholds.map(limitOf).filter(limit => limit);
	keys.clear();
	for (const [key, v] of Object.entries(message.keys)) if (v instanceof Decimal) keys.set(key, v);
	takeRaised(Array.isArray(message.alerts) ? message.alerts : []);
	takeValues(folds.map(name => [name, message[name]]));
}

function limitOf({alert, each, fold, above, below}) {
	const level = above ?? below;
	if (!(level instanceof Decimal)) return null;
	// The line of each key's fold is that of all only if that fold is one of the readings.
	return {alert: String(alert), each: each === true, fold, level, above: above !== undefined, shared: !each || ofReadings.includes(fold)};
}

// takeReading takes the short answer to one's own reading. What it does not tell, the next
// update does.
function takeReading({count, key, last}) {
	if (!(last instanceof Decimal)) return;
	if (key !== undefined) keys.set(String(key), last);
	const best = (name, better) => {
		const before = values.get(name)?.at(-1);
		return !before || gone.has(name) || better(last.number, before.number) ? [[name, last]] : [];
	};
	const found = [["last", last], ...best("min", (a, b) => a < b), ...best("max", (a, b) => a > b)];
	if (count instanceof Decimal) found.push(["count", count]);
	takeValues(found);
}

function forgetMeter() {
	keys.clear();
	limits = [];
	raised.clear();
}

// beyond reports whether a reading is on the wrong side of a limit.
const beyond = (v, {above, level}) => above ? v.number > level.number : v.number < level.number;

// keyLimits are those that a reading of a key can be held against.
const keyLimits = () => limits.filter(limit => ofReadings.includes(limit.fold));

// badness orders readings: how far beyond a limit, or how close to one. Without limits the
// highest comes first.
function badness(v, limits) {
	if (!limits.length) return v.number;
	return Math.max(...limits.map(({above, level}) => above ? v.number - level.number : level.number - v.number));
}
