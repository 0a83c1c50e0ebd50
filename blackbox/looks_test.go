package blackbox

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// screenshots names the folder that pictures of the page go to, if it is set.
const screenshots = "PAGE_SCREENSHOTS"

// look is how a visitor sees a page.
type look struct {
	name          string
	width, height int64
	scheme        string // of colours
}

var allLooks = []look{
	{"light", 1280, 860, "light"}, {"dark", 1280, 860, "dark"}, {"phone", 390, 844, "light"}, {"phone-dark", 390, 844, "dark"},
}

// wear has a window look so.
func (w window) wear(l look) {
	w.t.Helper()
	scheme := func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
		features := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: l.scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}}
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features})
		return chromedp.Void{}, err
	}
	var device []chromedp.EmulateViewportOption
	if l.width < 600 {
		device = append(device, chromedp.EmulateMobile)
	}
	ctx, cancel := w.step()
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(l.width, l.height, device...), scheme); err != nil {
		w.t.Fatal(err)
	}
	w.run(`document.activeElement.blur(), new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(""))))`)
}

// scenes are pages with something to see on them.
var scenes = map[string]func(*testing.T, context.Context) window{
	"sum": sceneOfSum, "chat": sceneOfChat, "meter": sceneOfMeter, "table": sceneOfTable,
	"crowded": sceneOfManyKeys, "long": sceneOfLongTexts, "refused": sceneOfRefusal, "reader": sceneOfAReader,
	"history": sceneOfHistory, "ended": sceneOfAPermissionThatEnded,
}

// sceneOfHistory is a chat that somebody has come back to.
func sceneOfHistory(t *testing.T, browser context.Context) window {
	stage := newStageOf(t, chatConfig)
	w := openWindow(t, browser, stage.url)
	w.at(0)
	c := stage.connected(t)
	says := func(version int, who, clock, text string) {
		at, err := time.ParseInLocation("2006-01-02T15:04:05", "2026-05-"+clock, time.Local)
		if err != nil {
			t.Fatal(err)
		}
		c.say(t, fmt.Sprintf(`{"type":"message","epoch":"AAAAAAAA","version":%d,"from":{"id":"%[2]s","user":"%[2]s"},"time":"%[3]s","data":"%[4]s"}`, version, who, at.Format(time.RFC3339), text))
	}
	c.say(t, `{"type":"state","epoch":"AAAAAAAA","version":812}`)
	c.say(t, `{"type":"presence","event":"state","count":5,"members":[{"user":"alice","connections":2},{"user":"bob","connections":1},{"user":"Chloé","connections":1},{"id":"K5JVKDCLYPHB"},{"id":"K5JVKDCLYPHC"}]}`)
	says(813, "alice", "11T21:40:00", "Who opens tomorrow?")
	says(814, "bob", "11T21:44:00", "I do, at six.")
	w.waitFor("here", "5 here: alice, bob, Chloé, 2 guests")
	w.send("I bring the flowers.")
	says(815, "Chloé", "12T12:02:00", "I bring the flowers.")
	c.answer(t, `{"data":"I bring the flowers."}`, `{"type":"reply","epoch":"AAAAAAAA","version":815}`)
	w.texts("#messages .own span", "I bring the flowers.")
	c.say(t, `{"type":"gap","epoch":"AAAAAAAA","oldest":902}`)
	says(902, "alice", "12T12:18:00", "All tables are set. The card reader at the bar does not work, please use the one in the kitchen.")
	w.waitForMessages("alice Who opens tomorrow?|bob I do, at six.|You I bring the flowers.|" + gapOfChat + "|alice All tables are set. The card reader at the bar does not work, please use the one in the kitchen.")
	return w
}

func sceneOfAPermissionThatEnded(t *testing.T, browser context.Context) window {
	stage := newStage(t)
	w := openWindow(t, browser, stage.url)
	w.at(0)
	c := stage.enter(t)
	w.waitFor("value", "5")
	c.end(t, 3000, "permission has ended")
	w.waitFor("state", "Closed")
	return w
}

func sceneOfAReader(t *testing.T, browser context.Context) window {
	s := start(t, rightsConfig)
	s.post(t, "/sum?role=writer", "12480", "12480")
	w := openWindow(t, browser, s.url("/sum"))
	w.waitFor("state", "Live")
	w.waitFor("value", "12480")
	return w
}

// at sets the page's clock, in seconds after a moment of the afternoon. The connection, which
// would take the leaps for a sleep, does not look at it any more.
func (w window) at(second int) {
	w.run(fmt.Sprintf(`for (let i = 1; i < 100; i++) clearInterval(i); Date.now = () => new Date(2026, 4, 12, 14, 20).getTime() + %d * 1000, ""`, second))
}

func sceneOfSum(t *testing.T, browser context.Context) window {
	stage := newStage(t, `title "Guests today"`, "unit people")
	w := openWindow(t, browser, stage.url)
	c := stage.connected(t)
	total := 12480
	for i := range 40 {
		w.at(7 * i)
		total += (i*i*37)%53 - 9*(i%4)
		c.say(t, fmt.Sprintf(`{"type":"update","epoch":"AAAAAAAA","version":%d,"total":%d}`, 1840+i, total))
		w.waitFor("value", fmt.Sprint(total))
	}
	c.say(t, `{"type":"presence","count":14}`)
	w.waitFor("here", "14 here")
	return w
}

func sceneOfChat(t *testing.T, browser context.Context) window {
	stage := newStageOf(t, strings.Replace(chatConfig, "page\n", "page {\ntitle Kitchen\n}\n", 1))
	w := openWindow(t, browser, stage.url)
	w.at(0)
	c := stage.connected(t)
	c.say(t, `{"type":"state","epoch":"AAAAAAAA","version":0}`)
	c.say(t, `{"type":"presence","event":"state","count":4,"members":[{"user":"ann","connections":1},{"user":"paul","connections":2},{"user":"mei","connections":1},{"id":"K5JVKDCLYPHB"}]}`)
	w.waitFor("here", "4 here: ann, mei, paul, 1 guest")
	for i, line := range []string{
		"ann: Good morning. The delivery is at the back door.", "paul: On my way.", "ann: Two crates of lemons, one of basil. Who ordered the basil?",
		"paul: That was me: the soup of today has it.", "mei: Good choice!", "ann: https://example.com/recipes/soup?with=basil&serves=40",
		"paul: Thanks! Can somebody check the oven while I am down here? It was at 180 °C and should be at 160 °C by now, and the bread has to be out at ten.", "mei: Done. Bread looks great.",
	} {
		who, text, _ := strings.Cut(line, ": ")
		if who == "paul" {
			w.send(text)
		}
		c.say(t, fmt.Sprintf(`{"type":"message","epoch":"AAAAAAAA","version":%d,"from":{"id":"%[2]s","user":"%[2]s"},"time":"%[3]s","data":"%[4]s"}`,
			i+1, who, time.Date(2026, 5, 12, 14, 20, 40*i, 0, time.Local).Format(time.RFC3339), text))
		if who == "paul" {
			c.answer(t, `{"data":"`+text+`"}`, fmt.Sprintf(`{"type":"reply","epoch":"AAAAAAAA","version":%d}`, i+1))
		}
		w.texts("#messages li:last-child > span", text)
	}
	w.texts("#messages .own b", "You|You|You")
	return w
}

// load is the power of a machine at a step.
func load(machine, step int) float64 {
	v := 480 + 60*float64(machine%5) + 180*math.Sin(float64(step)/6+float64(machine))
	if machine == 4 {
		v += 14 * float64(step)
	}
	return math.Round(v*4) / 4
}

// sceneLimits are the alerts of the meter's scene, which press-5 raises.
var sceneLimits = []struct {
	alert  string
	above  float64
	advice string
}{{"warning", 900, ""}, {"stop", 1100, ": shut it down"}}

func sceneOfMeter(t *testing.T, browser context.Context) window {
	stage := newStage(t, `title "Hall 3"`, "unit kW")
	w := openWindow(t, browser, stage.url)
	c := stage.connected(t)
	const limits = `,"thresholds":[{"alert":"warning","each":true,"fold":"last","above":900,"clear":850},{"alert":"stop","each":true,"fold":"last","above":1100}]`
	var highest float64
	sum := 0.0
	for step := range 30 {
		w.at(10 * step)
		var keys []string
		for machine := range 8 {
			v := load(machine, step)
			sum += v
			highest = max(highest, v)
			keys = append(keys, fmt.Sprintf(`"press-%d":%v`, machine+1, v))
		}
		last := load(4, step)
		var alerts []string
		for _, limit := range sceneLimits {
			if last > limit.above {
				alerts = append(alerts, `"`+limit.alert+`"`)
			}
		}
		c.say(t, fmt.Sprintf(`{"type":"state","epoch":"AAAAAAAA","version":%d,"count":%d,"sum":%v,"min":412.5,"max":%v,"mean":%.3f,"last":%v,"keys":{%s},"alerts":[%s]%s}`,
			step+1, 8*(step+1), sum, highest, sum/float64(8*(step+1)), last, strings.Join(keys, ","), strings.Join(alerts, ","), limits))
		for i, limit := range sceneLimits {
			if last > limit.above && load(4, step-1) <= limit.above {
				c.say(t, fmt.Sprintf(`{"type":"event","epoch":"AAAAAAAA","version":%d,"number":%d,"event":"alert","alert":"%s","raised":true,"fold":"last","value":%v,"threshold":%v,"key":"press-5","message":"press-5 draws %v kW%s"}`,
					step+1, i+1, limit.alert, last, limit.above, last, limit.advice))
			}
		}
		switch step {
		case 6:
			c.say(t, `{"type":"event","epoch":"AAAAAAAA","version":7,"number":1,"event":"alert","alert":"warning","raised":true,"fold":"last","value":912.25,"threshold":900,"key":"press-3","message":"press-3 draws 912.25 kW"}`)
		case 9:
			c.say(t, `{"type":"event","epoch":"AAAAAAAA","version":10,"number":2,"event":"alert","alert":"warning","raised":false,"fold":"last","value":840,"threshold":900,"key":"press-3","message":"warning is over for press-3"}`)
		}
		w.waitFor("value", fmt.Sprint(last))
	}
	return w
}

func sceneOfTable(t *testing.T, browser context.Context) window {
	stage := newStage(t, `title "Auction: the red bicycle"`)
	w := openWindow(t, browser, stage.url)
	c := stage.connected(t)
	w.at(0)
	c.say(t, `{"type":"state","epoch":"AAAAAAAA","version":12,"euros":1250,"bidder":"alice","ends":"2026-05-12T14:25:00Z","sold":false,"bids":[{"bidder":"alice","euros":1250},{"bidder":"bob","euros":1200}]}`)
	c.say(t, `{"type":"event","epoch":"AAAAAAAA","version":12,"event":"bid","bidder":"alice","euros":1250}`)
	w.waitForMessages("event: bid\nbidder: alice\neuros: 1250")
	return w
}

func sceneOfManyKeys(t *testing.T, browser context.Context) window {
	stage := newStage(t, "unit °C")
	w := openWindow(t, browser, stage.url)
	c := stage.connected(t)
	w.at(0)
	keys := []string{`"a-machine-with-a-name-that-is-as-long-as-a-name-may-be-64-letters":-12345678.90123`}
	for i := range 400 {
		keys = append(keys, fmt.Sprintf(`"sensor-%d":%v`, i, float64(i*7919%400)/10-8))
	}
	c.say(t, fmt.Sprintf(`{"type":"state","epoch":"AAAAAAAA","version":1,"count":401,"sum":5,"min":-8,"max":31.9,"mean":12,"last":3,"keys":{%s},"alerts":["frost","heat"],"thresholds":[{"alert":"frost","each":true,"fold":"min","below":0},{"alert":"heat","each":true,"fold":"max","above":30}]}`, strings.Join(keys, ",")))
	w.waitFor("field", "min")
	return w
}

func sceneOfLongTexts(t *testing.T, browser context.Context) window {
	stage := newStage(t, `title "`+strings.Repeat("A long title ", 7)+`"`, "unit kilowatt-hours")
	w := openWindow(t, browser, stage.url)
	c := stage.connected(t)
	const longest = "-123456789012345678901234567890.123456789012345678901234567891"
	w.at(0)
	c.say(t, `{"type":"state","epoch":"AAAAAAAA","version":1234567,"total":5}`)
	c.say(t, `{"type":"update","epoch":"AAAAAAAA","version":1234568,"total":`+longest+`}`)
	w.waitFor("value", longest)
	return w
}

func sceneOfRefusal(t *testing.T, browser context.Context) window {
	stage := newStage(t)
	w := openWindow(t, browser, stage.url)
	w.at(0)
	c := stage.enter(t)
	w.waitFor("value", "5")
	w.send("six")
	c.answer(t, `{"value":"six"}`, `{"type":"error","error":"not a number","code":"refused","retry":false}`)
	w.waitFor("notice", "Error: not a number")
	c.end(t, 1008, "")
	w.waitFor("state", "Closed")
	w.send("seven")
	w.waitFor("notice", "Not connected: nothing was sent.")
	return w
}

// No page is wider than its window in any look, and axe-core finds nothing on it. If
// PAGE_SCREENSHOTS names a folder, pictures of all are put there.
func TestPageLooks(t *testing.T) {
	var script string
	t.Run("axe-core is there", func(t *testing.T) { script = axe(t) })
	for name, scene := range scenes {
		t.Run(name, func(t *testing.T) {
			w := scene(t, chromium(t))
			if script != "" {
				w.run(script + `; ""`)
			}
			for _, l := range allLooks {
				w.wear(l)
				if wide := w.run(`(e => String(e.scrollWidth > e.clientWidth))(document.documentElement)`); wide != "false" {
					t.Errorf("in the look %s the page is wider than the window", l.name)
				}
				if script != "" {
					w.isAccessible(l)
				}
				if folder := os.Getenv(screenshots); folder != "" {
					w.photograph(filepath.Join(folder, name+"-"+l.name+".png"))
				}
			}
		})
	}
}

// isAccessible has axe-core look at a page.
func (w window) isAccessible(l look) {
	w.t.Helper()
	var found []violation
	if err := json.Unmarshal([]byte(w.run(`axe.run().then(r => { if (!r.passes.length) throw "nothing was looked at"; return JSON.stringify(r.violations); })`)), &found); err != nil {
		w.t.Fatal(err)
	}
	for _, v := range found {
		w.t.Errorf("%s: %s, %s: %+v", l.name, v.ID, v.Help, v.Nodes)
	}
}

// photograph puts a picture of the whole page into a file.
func (w window) photograph(file string) {
	w.t.Helper()
	ctx, cancel := w.step()
	defer cancel()
	picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		w.t.Fatal(err)
	}
	if picture, err = withFewColours(picture); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(file, picture, 0o644); err != nil {
		w.t.Fatal(err)
	}
}

// withFewColours makes a PNG smaller: it keeps the 256 colours that there is most of.
func withFewColours(picture []byte) ([]byte, error) {
	full, err := png.Decode(bytes.NewReader(picture))
	if err != nil {
		return nil, err
	}
	bounds, count := full.Bounds(), map[color.Color]int{}
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			count[full.At(x, y)]++
		}
	}
	colours := slices.SortedFunc(maps.Keys(count), func(a, b color.Color) int { return count[b] - count[a] })
	few := image.NewPaletted(bounds, colours[:min(len(colours), 256)])
	draw.Draw(few, bounds, full, bounds.Min, draw.Src)
	var small bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	err = encoder.Encode(&small, few)
	return small.Bytes(), err
}

// axe finds what keeps people with disabilities from using a page.
func axe(t *testing.T) string {
	t.Helper()
	script, err := os.ReadFile(filepath.Join(install(t, "axe"), "axe-core/axe.min.js"))
	if err != nil {
		t.Fatal(err)
	}
	return string(script)
}

// violation is a rule of axe that is broken, and by what.
type violation struct {
	ID    string
	Help  string
	Nodes []struct{ HTML, FailureSummary string }
}
