package blackbox

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// meterState is what a meter says, without the fields that the others of its place name.
func meterState(kind string, version int, highest, keys, alerts string, more ...string) string {
	return fmt.Sprintf(`{"type":"%s","epoch":"AAAAAAAA","version":%d,"count":3,"sum":2400.25,"min":600,"max":%s,"mean":800.083333333,"last":812.5,"keys":{%s},"alerts":[%s]%s}`,
		kind, version, highest, keys, alerts, strings.Join(more, ""))
}

const (
	meterLimits = `,"thresholds":[{"alert":"warning","each":true,"fold":"max","above":900,"clear":850},{"alert":"cold","fold":"min","below":10}]`
	threeKeys   = `"press-1":600,"press-4":812.5,"press-2":987.75`
	raisedEvent = `{"type":"event","epoch":"AAAAAAAA","version":5,"number":1,"event":"alert","alert":"warning","raised":true,"fold":"max","value":987.75,"threshold":900,"key":"press-2","message":"press-2 is at 987.75"}`
	endedEvent  = `{"type":"event","epoch":"AAAAAAAA","version":6,"number":2,"event":"alert","alert":"warning","raised":false,"fold":"max","value":840,"threshold":900,"key":"press-2","message":"warning is over for press-2"}`
)

// texts waits until the elements that a selector finds have these texts.
func (w window) texts(selector, want string) {
	w.t.Helper()
	var got string
	until(w.t, selector+" "+want, func() bool {
		got = w.run(`[...document.querySelectorAll("` + selector + `")].map(e => e.textContent).join("|")`)
		return got == want
	})
}

// A meter shows the fold that is judged and its limits, all folds to choose from, and the
// keys with the worst first.
func TestPageShowsAMeter(t *testing.T) {
	browser := chromium(t)
	stage := newStage(t, `title "Hall 3"`, "unit kW")
	w := openWindow(t, browser, stage.url)
	c := stage.connected(t)
	c.say(t, meterState("state", 4, "987.75", threeKeys, "", meterLimits))
	w.waitFor("field", "max")
	w.waitFor("value", "987.75")
	w.waitFor("unit", "kW")
	w.waitFor("name", "Hall 3")
	w.waitForTitle("987.75 kW – Hall 3 – " + stage.host)
	w.texts("#fields .label", "count|sum|min|max|mean|last")
	w.waitFor("worst", "Worst: press-2, 987.75 kW")
	w.waitFor("legend", "warning: above 900 kW · cold: below 10 kW")
	w.texts("#rows .key", "press-2|press-4|press-1")
	w.texts("#rows .reading", "987.75|812.5|600")
	w.texts("#rows .flag", "warning||")
	w.texts("#limits text", "warning 900")
	w.run(`document.querySelectorAll("#fields button")[0].click(), ""`)
	w.waitFor("value", "3")
	w.waitFor("unit", "")
	w.texts("#fields [aria-pressed=true] .label", "count")
	w.texts("#limits text", "")

	// Digits that a double has not are not lost.
	const exact = "12345678901234567890.123456789"
	c.say(t, meterState("update", 5, exact, `"press-1":`+exact, ""))
	w.run(`document.querySelectorAll("#fields button")[3].click(), ""`)
	w.waitFor("value", exact)
	w.texts("#rows .reading", exact)
}

// Alerts are listed as they come, spoken, and shown for as long as they are raised.
func TestPageShowsAlerts(t *testing.T) {
	browser := chromium(t)
	stage := newStage(t)
	w := openWindow(t, browser, stage.url)
	c := stage.connected(t)
	c.say(t, meterState("state", 4, "812.5", `"press-2":600`, "", meterLimits))
	w.waitFor("calm", "None is raised.")
	c.say(t, raisedEvent)
	w.texts("#alertlist b, #alertlist span", "Raised|press-2 is at 987.75")
	w.texts("#raised li", "warning: press-2")
	w.waitFor("spoken", "Raised: press-2 is at 987.75")
	w.waitForTitle("⚠ 812.5 – total – " + stage.host)
	c.say(t, meterState("update", 5, "987.75", `"press-2":987.75`, `"warning"`))
	w.waitFor("value", "987.75")
	w.texts("#raised li", "warning: press-2")
	c.say(t, endedEvent)
	c.say(t, meterState("update", 6, "987.75", `"press-2":840`, ""))
	w.texts("#alertlist b, #alertlist span", "Ended|warning is over for press-2|Raised|press-2 is at 987.75")
	w.texts("#raised li", "")
	w.waitFor("spoken", "Ended: warning is over for press-2")

	// What is told again after a reconnection is not listed again. What was raised before
	// is known by its name.
	c.end(t, 4000, "")
	c = stage.connected(t)
	c.say(t, meterState("state", 9, "1000", `"press-2":840`, `"cold"`, meterLimits))
	c.say(t, raisedEvent)
	c.say(t, `{"type":"event","epoch":"AAAAAAAA","version":9,"number":3,"event":"alert","alert":"warning","raised":false,"fold":"max","gone":true,"threshold":900,"key":"press-2"}`)
	w.texts("#alertlist b, #alertlist span",
		"Ended|press-2: warning: no readings any more|Ended|warning is over for press-2|Raised|press-2 is at 987.75")
	w.texts("#raised li", "cold")
}

// One's own reading is answered briefly, and no update follows.
func TestPageTakesTheAnswerToAReading(t *testing.T) {
	browser := chromium(t)
	stage := newStage(t)
	w := openWindow(t, browser, stage.url)
	c := stage.connected(t)
	c.say(t, meterState("state", 4, "812.5", `"press-1":812.5`, ""))
	w.waitFor("value", "812.5")
	w.send("900")
	c.answer(t, "900", `{"type":"reply","epoch":"AAAAAAAA","version":5,"count":4,"key":"press-9","last":900}`)
	w.waitFor("value", "900")
	w.texts("#fields .label + span", "4|2400.25|600|900|800.083333333|900")
	w.texts("#rows .key", "press-9|press-1")
	c.say(t, meterState("update", 6, "900", `"press-1":812.5`, ""))
	w.texts("#rows .key", "press-1")
}

// A thousand keys that all change are drawn within a frame, and can be found.
func TestPageDrawsAThousandKeys(t *testing.T) {
	browser := chromium(t)
	stage := newStage(t)
	w := openWindow(t, browser, stage.url)
	c := stage.connected(t)
	keys := func(add int) string {
		var all []string
		for i := range 1000 {
			all = append(all, fmt.Sprintf(`"key-%d":%d`, i, (i*7919+add)%1000))
		}
		return strings.Join(all, ",")
	}
	c.say(t, meterState("state", 4, "999", keys(0), ""))
	w.texts("#rows li:first-child .reading", "999")
	for version := 5; version < 10; version++ {
		c.say(t, meterState("update", version, fmt.Sprint(1000+version), keys(version), ""))
		w.waitFor("value", fmt.Sprint(1000+version))
	}
	rows := w.run(`String(document.querySelectorAll("#rows li").length)`)
	if len(rows) > 2 {
		t.Errorf("%s rows are elements", rows)
	}
	w.run(`document.getElementById("scroll").scrollTop = 1e6, ""`)
	w.texts("#rows li:last-child .reading", "0")
	var place struct{ Place, Size string }
	if err := json.Unmarshal([]byte(w.run(`(({ariaPosInSet, ariaSetSize}) => JSON.stringify({Place: ariaPosInSet, Size: ariaSetSize}))(document.querySelector("#rows li:last-child"))`)), &place); err != nil {
		t.Fatal(err)
	}
	if place.Place != "1000" || place.Size != "1000" {
		t.Errorf("the last row is %s of %s", place.Place, place.Size)
	}
	w.run(`document.getElementById("find").value = "Y-777", document.getElementById("find").oninput(), ""`)
	w.texts("#rows .key", "key-777")
}

// The state of any other app is a table of its fields, as exact as they came, and its other
// messages are lines.
func TestPageShowsATable(t *testing.T) {
	browser := chromium(t)
	stage := newStage(t)
	w := openWindow(t, browser, stage.url)
	c := stage.connected(t)
	c.say(t, `{"type":"state","epoch":"AAAAAAAA","version":1,"open":true,"question":"<b>Tea?</b>","votes":{"yes":12345678901234567890,"no":2},"last":[],"who":[{"name":"Ann"}],"none":null}`)
	w.texts("#rowsof tr", "opentrue|question<b>Tea?</b>|votes › yes12345678901234567890|votes › no2|lastnone|who › 0 › nameAnn|nonenull")
	c.say(t, `{"type":"update","epoch":"AAAAAAAA","version":2,"open":false,"votes":{"yes":1}}`)
	w.texts("#rowsof tr", "openfalse|votes › yes1")
	w.send("no")
	c.answer(t, "no", `{"type":"reply","epoch":"AAAAAAAA","version":3,"open":false,"votes":{"yes":1,"no":1}}`)
	w.texts("#rowsof tr", "openfalse|votes › yes1|votes › no1")
	c.say(t, `{"type":"event","epoch":"AAAAAAAA","version":3,"event":"closed","by":"Ann"}`)
	w.waitForMessages("event: closed\nby: Ann")
	w.send("no")
	c.answer(t, "no", `{"type":"reply","epoch":"AAAAAAAA","version":3,"late":true}`)
	w.waitForMessages("event: closed\nby: Ann|late: true")
	c.say(t, `{"type":"presence","count":1200}`)
	w.waitFor("here", "1200 here")
}

// A chat has one's own messages apart, also if they do not come back.
func TestPageKnowsOwnMessages(t *testing.T) {
	browser := chromium(t)
	s := start(t, `:PORT {
		websocket /chat broadcast {
			page
		}
		websocket /others {
			app broadcast {
				others
			}
			page
		}
		websocket /kept broadcast {
			history 10
			page
		}
		websocket /kept-others {
			app broadcast {
				others
			}
			history 10
			page
		}
	}`)
	for _, path := range []string{"/chat", "/others", "/kept", "/kept-others"} {
		one, two := openWindow(t, browser, s.url(path)), openWindow(t, browser, s.url(path))
		one.waitFor("state", "Live")
		two.waitFor("state", "Live")
		if path == "/chat" {
			one.expectsOwn()
			two.expectsOwn()
		}
		one.send("Hello")
		until(t, "the message", func() bool { return two.run(`String(document.querySelectorAll("#messages li").length)`) == "1" })
		until(t, "one's own", func() bool { return one.run(`String(document.querySelectorAll("#messages .own").length)`) == "1" })
		two.send("Hi")
		until(t, "one's own", func() bool { return two.run(`String(document.querySelectorAll("#messages .own").length)`) == "1" })
		until(t, "the message", func() bool { return one.run(`String(document.querySelectorAll("#messages li").length)`) == "2" })
		s.dial(t, path).send("Hello")
		one.waitForMessages("You Hello|Hi|Hello")
		two.waitForMessages("Hello|You Hi|Hello")
	}
}
