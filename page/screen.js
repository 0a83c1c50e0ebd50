// What all other files use: elements, text in them, numbers that bound what is kept.

const keptValues = 300, keptMessages = 500, shownLength = 4000, shownFields = 40;
const connectLimit = 15e3, steadyAfter = 10e3, firstDelay = 500, lastDelay = 30e3, tellEvery = 2e3;
const {unit} = document.body.dataset; // what numbers count, or empty
const $ = id => document.getElementById(id);
const clock = time => new Date(time).toLocaleTimeString();
const say = (id, text) => { if ($(id).textContent !== text) $(id).textContent = text; };
