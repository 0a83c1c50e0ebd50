// Numbers. One keeps the digits it came with: a total may have more than a double.

class Decimal {
	constructor(number, text) { this.number = number; this.text = text; }
}
const decimals = (_, v, context) => typeof v === "number" ? new Decimal(v, context?.source ?? String(v)) : v;

// groupsOf cuts the digits before the point into threes.
function groupsOf(number) {
	const whole = /^-?\d+/.exec(number)?.[0] ?? "";
	const groups = whole.split(/\B(?=(?:\d{3})+$)/);
	groups[groups.length - 1] += number.slice(whole.length);
	return groups;
}

// spaced is a number with narrow blanks before every three digits.
const spaced = number => groupsOf(number).join("\u202f");

// put shows a number with gaps that are no characters: what is copied or read aloud is
// the number as it came.
function put(element, number, before = "") {
	if (element.shown === before + number) return;
	element.shown = before + number;
	element.replaceChildren(before, ...groupsOf(number).map(group => {
		const span = document.createElement("span");
		span.className = "group";
		span.textContent = group;
		return span;
	}));
}

// withUnit is a number as it is read aloud, or stands in a sentence.
const withUnit = (text, unit) => unit ? text + " " + unit : text;

// axisOf returns round numbers for an axis, and its ends. Values that differ by less than
// a double can tell are one; beyond all doubles there are no numbers.
function axisOf(low, high, whole) {
	if (!isFinite(high - low)) return {low: -1, high: 1, ticks: [], text: String};
	if (high - low <= Math.abs(high) * 1e-12) {
		const room = whole && Math.abs(high) < 1e12 ? 1 : Math.abs(high) / 10 || 1;
		low -= room;
		high += room;
	}
	const rough = (high - low) / 4, power = 10 ** Math.floor(Math.log10(rough));
	const step = Math.max([1, 2, 5, 10].find(n => n * power >= rough) * power, whole ? 1 : 0);
	const first = Math.floor(low / step), last = Math.ceil(high / step);
	const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
	return {
		low: first * step, high: last * step,
		ticks: Array.from({length: Math.min(last - first, 20) + 1}, (_, i) => (first + i) * step),
		text: v => Math.abs(v) < 1e15 && digits < 13 ? spaced(v.toFixed(digits)) : v.toExponential(2),
	};
}
