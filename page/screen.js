// What all other files use: elements and text in them, and how much is kept and shown.

const keptValues = 300, keptMessages = 500, keptAlerts = 100, shownLength = 4000, shownFields = 200;
const tellEvery = 5e3, backWithin = 2e3; // in ms

const {subprotocol: protocol, chat, unit, answers} = document.body.dataset;
const $ = id => document.getElementById(id);
const clock = time => new Date(time).toLocaleTimeString();

// say changes the text of an element if it is another: what is live is read aloud.
const say = (id, text) => { if ($(id).textContent !== text) $(id).textContent = text; };

// make adds an element with a text to another.
function make(parent, name, text = "", className = "") {
	const element = parent.appendChild(document.createElement(name));
	element.textContent = text;
	element.className = className;
	return element;
}

// cut shortens what is too long to be shown.
function cut(text) {
	const more = text.length - shownLength;
	return more > 0 ? text.slice(0, shownLength) + ` … (${more} more characters)` : text;
}
