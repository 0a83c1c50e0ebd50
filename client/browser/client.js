// A room of a Caddy server, for browsers.

/**
 * What the server says: an object of the subprotocol "json". Its `type` is "state", "reply",
 * "update", "event", "gap", "message", "presence" or "error".
 * @typedef {{type: string, epoch?: string, version?: number, [field: string]: any}} Message
 */

const final = [1000, 1002, 1003, 1005, 1007, 1008, 1010, 3000]; // close codes after which coming back would not help
const leastDelay = {1012: 5e3, 1013: 15e3};
const most = 1000; // messages that wait for their answers
const patience = 1e4; // ms that an answer, or a connection, may take
const random = () => Array.from(crypto.getRandomValues(new Uint32Array(3)), n => n.toString(36)).join("");

/**
 * A connection to a room that comes back by itself, until it is closed. It is an
 * EventTarget: each message of the server is an event named by its type, with the Message
 * as its `detail`; a text of an app without JSON is an event "text"; and after each change
 * of `status` there is an event "status".
 */
export class Room extends EventTarget {
	/** @type {?Message} The newest state; null before it is known. */
	state = null;
	/** @type {"connecting" | "open" | "waiting" | "closed"} */
	status = "closed";
	/** Why the last connection ended. */
	reason = "";

	#url; #protocol; #way; #timer; #ticker; #point; #at; #event = [0, 0];
	#failures = 0; #refusals = 0; #opened = 0; #seen = Date.now();
	#client = random(); #number = 0; #counts = true; #waiting = []; #retry = 0;

	/**
	 * Connects to a room.
	 * @param {string | URL} url of the room; relative to that of the page
	 * @param {{protocol?: string}} [options] protocol "" is for apps that say only text
	 */
	constructor(url, {protocol = "json"} = {}) {
		super();
		this.#url = new URL(url, location.href);
		this.#protocol = protocol;
		this.connect();
	}

	/** Connects again, after close or at once. */
	connect() {
		this.#leave();
		if (!this.#ticker) {
			this.#ticker = setInterval(this.#look, 2e3);
			for (const name of ["online", "pageshow"]) addEventListener(name, this.#look);
			document.addEventListener("visibilitychange", this.#look);
		}
		this.#opened = 0;
		this.#timer = setTimeout(() => this.#ended(1006), patience);
		if (this.#refusals % 3 === 2 && this.#protocol) this.#follow(); else this.#dial();
		this.#show("connecting");
	}

	/** Ends the connection. What has no answer yet is refused. */
	close() { this.#stop("closed by the page"); }

	#stop(reason) {
		this.#leave();
		clearInterval(this.#ticker);
		this.#ticker = 0;
		for (const name of ["online", "pageshow"]) removeEventListener(name, this.#look);
		document.removeEventListener("visibilitychange", this.#look);
		this.#refuseAll("the room was closed", "closed");
		this.#show("closed", reason);
	}

	/**
	 * Sends a message, and sends it again after a cut: in a room that keeps something it
	 * counts once.
	 * @param {any} value an object as the app wants it; anything else is its field "value".
	 * Without JSON: a text, which is sent at once or not at all.
	 * @returns {Promise<Message | void>} the reply. It is rejected with an Error that has the
	 * `code` of the server, and `retry`.
	 */
	send(value) {
		return new Promise((resolve, reject) => {
			if (this.status === "closed" || !this.#protocol && this.status !== "open") return reject(failure("not connected", "closed"));
			if (!this.#protocol) return resolve(this.#way.send(value));
			if (this.#waiting.length === most) return reject(failure("too much waits for an answer", "busy", true));
			const message = {body: Object(value) === value ? value : {value}, at: this.#at, resolve, reject};
			this.#name(message);
			this.#waiting.push(message);
			this.#write(message);
		});
	}

	#name(message) {
		message.n = ++this.#number;
		message.id = this.#counts ? this.#client + ":" + message.n : message.n;
	}

	#write(message) {
		message.sent = 0;
		if (this.status !== "open") return;
		const {body, id, at, n} = message;
		message.sent = Date.now();
		this.#way.send(JSON.stringify(at && n === 1 && this.#counts ? {...body, id, at} : {...body, id}));
	}

	#dial() {
		const url = new URL(this.#url);
		url.protocol = url.protocol.replace("http", "ws");
		const way = this.#way = new WebSocket(this.#pointed(url), this.#protocol ? [this.#protocol] : []);
		way.onopen = () => this.#began();
		way.onmessage = e => this.#take(e.data);
		way.onclose = e => this.#ended(e.code, e.reason);
	}

	// Where WebSockets are blocked there are an event stream, and a POST for each message.
	#follow() {
		const url = new URL(this.#url), source = new EventSource(this.#pointed(url, "subprotocol", this.#protocol));
		let last = Promise.resolve();
		const post = async body => {
			if (this.#way !== way) return;
			const r = await fetch(this.#url, {method: "POST", body, headers: {Accept: "application/json", "Content-Type": "application/json"}});
			this.#take(await r.text());
		};
		const way = this.#way = {
			close: () => source.close(),
			send: body => { last = last.then(() => post(body)).catch(() => {}); }, // without an answer it is sent again
		};
		source.onopen = () => this.#began();
		source.onmessage = e => this.#take(e.data);
		source.onerror = () => this.#ended(1006);
	}

	#pointed(url, ...pair) {
		if (pair.length) url.searchParams.set(...pair);
		if (this.#point) url.searchParams.set("after", this.#point);
		return url;
	}

	#began() {
		clearTimeout(this.#timer);
		this.#opened = Date.now();
		this.#refusals = 0;
		this.#show("open", "");
		if (!this.#counts) this.#refuseAll("the connection was lost: this may have been done", "unknown");
		this.#again();
	}

	#ended(code, reason) {
		const opened = this.#opened;
		this.#leave();
		if (!opened) this.#refusals++;
		if (opened && Date.now() - opened > 5e3) this.#failures = 0;
		const why = opened ? `${code} ${reason || ""}`.trim() : "the server cannot be reached, or refuses";
		if (opened && final.includes(code)) return this.#stop(why);
		const delay = Math.max(Math.min(500 * 2 ** this.#failures++, 3e4), leastDelay[code] || 0);
		this.#timer = setTimeout(() => this.connect(), delay * (0.5 + Math.random() / 2));
		this.#show("waiting", why);
	}

	#leave() {
		clearTimeout(this.#timer);
		const way = this.#way;
		if (way) way.onopen = way.onmessage = way.onclose = null;
		way?.close();
		this.#way = null;
	}

	// A page that has slept, or whose network has changed, cannot know that its connection
	// lives: it makes another one.
	#look = event => {
		if (document.visibilityState === "hidden") return;
		const now = Date.now(), first = this.#waiting[0];
		const slept = now - this.#seen > patience || event?.type === "online" || event?.persisted;
		const mute = first?.sent && now - first.sent > patience;
		this.#seen = now;
		if (this.status === "open" ? slept || mute : slept && this.status !== "closed") this.connect();
	};

	#take(data) {
		let message;
		try { message = this.#protocol && typeof data === "string" && JSON.parse(data); } catch { /* it is a text */ }
		if (!message?.type) return this.#tell("text", data);
		const {type, epoch, version, number} = message;
		if (type === "event" && number && !this.#isNew(version, number, epoch)) return;
		if (version !== undefined && !message.repeat) this.#at = epoch + "-" + version;
		if (["state", "update", "message"].includes(type)) this.#point = this.#at;
		if (["state", "update", "reply"].includes(type) && !message.repeat) this.state = message;
		if (message.id !== undefined) this.#answer(message);
		this.#tell(type, message);
	}

	// An event that was told before the cut, and comes again.
	#isNew(version, number, epoch) {
		const [v, n, e] = this.#event;
		if (e === epoch && (version < v || version === v && number <= n)) return false;
		this.#event = [version, number, epoch];
		this.#point = `${epoch}-${version}-${number}`;
		return true;
	}

	#answer(message) {
		const i = this.#waiting.findIndex(({id}) => id === message.id);
		if (i < 0) return;
		const {type, error, code, retry} = message;
		if (code === "stateless" && this.#counts) {
			this.#counts = false; // the room keeps nothing: ids only say which answer is to what
			return this.#renumber();
		}
		if (type === "error" && retry) {
			this.#retry ||= setTimeout(() => { this.#retry = 0; this.#again(); }, 200 + Math.random() * 800);
			return;
		}
		const [{resolve, reject}] = this.#waiting.splice(i, 1);
		if (type !== "error") return resolve(message);
		reject(failure(error, code, retry));
		if (code === "unknown_client" || code === "may_have_counted") this.#refuseAll(error, code);
		if (code !== "refused" && code !== "failed") this.#renumber(); // its number is not used up
	}

	#renumber() {
		this.#client = random();
		this.#number = 0;
		for (const message of this.#waiting) this.#name(message);
		this.#again();
	}

	#again() { for (const message of this.#waiting) this.#write(message); }

	#refuseAll(text, code) {
		for (const {reject} of this.#waiting.splice(0)) reject(failure(text, code));
	}

	#show(status, reason = this.reason) {
		this.status = status;
		this.reason = reason;
		this.#tell("status", status);
	}

	#tell(name, detail) { this.dispatchEvent(new CustomEvent(name, {detail})); }
}

const failure = (text, code, retry = false) => Object.assign(new Error(text), {code, retry});
