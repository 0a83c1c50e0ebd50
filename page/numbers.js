// A number keeps the digits it came with: a total may have more than a double.
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

// put shows a number with gaps that are no characters: what is copied or read
// aloud is the number as it came.
function put(element, before, number, after = "") {
	const spans = groupsOf(number).flatMap(group => {
		const span = document.createElement("span");
		span.className = "group";
		span.textContent = group;
		return [document.createElement("wbr"), span];
	});
	element.replaceChildren(before, ...spans.slice(1), after);
}
