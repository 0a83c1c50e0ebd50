// Who is here: people by their names, others by their number.

const namesShown = 12;
const byName = new Intl.Collator(undefined, {numeric: true}).compare; // guest 2 before guest 10
const people = new Map(); // those who are here, by user or id -> the user, or undefined
let present = 0;          // how many there are: of very many not all are told

function takePresence({event, count, members = [], joined, left}) {
	if (event !== "change" || !joined && !left) people.clear();
	for (const member of left ?? []) people.delete(keyOf(member));
	for (const member of [...members, ...joined ?? []]) people.set(keyOf(member), member.user);
	present = count;
	sayPresent();
}

const keyOf = ({user, id}) => user === undefined ? "id " + id : "user " + user;

function forgetPresent() {
	people.clear();
	present = 0;
	sayPresent();
}

function sayPresent() {
	$("here").hidden = !present;
	say("here", present === 1 ? "Only you are here" : `${present} here${people.size ? ": " + names() : ""}`);
}

function names() {
	const users = [...people.values()].filter(user => user !== undefined).sort(byName);
	const parts = users.slice(0, namesShown), more = present - parts.length;
	const areGuests = parts.length === users.length && people.size === present;
	if (more > 0) parts.push(!areGuests ? more + " more" : more === 1 ? "1 guest" : more + " guests");
	return parts.join(", ");
}
