/** @typedef {{type: string, epoch?: string, version?: number, [field: string]: any}} Message */

const final = [401, 403, 1000, 1002, 1003, 1005, 1007, 1008, 1009, 1010, 3000]; // coming back does not help
const most = 1000; // messages that wait
const patience = 1e4; // ms for an answer, or a connection
const mostCuts = 9; // connections that end without an answer to one message
const wakes = ["online", "pageshow", "resume", "visibilitychange"];
const lost = "the connection was lost: this may have been done";
const codes = {403: "read_only", 408: "busy", 429: "busy", 503: "busy", 0: "unknown", 502: "unknown", 504: "unknown"};
const random = () => crypto.getRandomValues(new Uint32Array(3)).join("");

/**
 * A connection to a room that comes back by itself. Each message of the server is an
 * event named by its type, with the Message as `detail` and its text as `data`; a text
 * without JSON is an event "text", and a change of `status` one "status".
 */
export class Room extends EventTarget {
	/** @type {?Message} the newest "state", "update" or "reply" */
	state = null;
	/** @type {"connecting" | "open" | "waiting" | "closed"} */
	status = "closed";
	/** Why the last connection ended. */
	reason = "";

	#url; #protocol; #way; #timer; #ticker; #point; #at; #event = [];
	#failures = 0; #refusals = 0; #opened = 0; #alive; #hidden; #answered = 0; #usual = 0;
	#client = random(); #number = 0; #counts = true; #waiting = []; #retry;

	/**
	 * @param {string | URL} url of the room; relative to that of the page
	 * @param {{protocol?: string}} [options] protocol "" is for apps that say only text
	 */
	constructor(url, {protocol = "json"} = {}) {
		super();
		this.#url = new URL(url, location.href);
		this.#protocol = protocol;
		this.connect();
	}

	/** Connects again at once. */
	connect() {
		this.#leave();
		if (!this.#ticker) {
			this.#ticker = setInterval(this.#look, 1e3);
			for (const name of wakes) addEventListener(name, this.#look, true);
		}
		this.#opened = 0;
		this.#alive = Date.now();
		this.#timer = setTimeout(() => this.#ended(1006), patience);
		if (this.#refusals % 3 === 2 && this.#protocol) this.#follow(); else this.#dial();
		this.#show("connecting");
	}

	/** Refuses what has no answer. */
	close() { this.#stop("closed by the page"); }

	#stop(reason) {
		this.#leave();
		clearInterval(this.#ticker);
		this.#ticker = this.#refusals = this.#failures = 0;
		for (const name of wakes) removeEventListener(name, this.#look, true);
		this.#refuseAll("the room was closed", "closed");
		this.#show("closed", reason);
	}

	/**
	 * Sends a message, again after a cut: it counts once. In a room that keeps nothing it is
	 * sent once, without an answer. Without JSON it is as `say`.
	 * @param {any} value an object as the app wants it; anything else is its field "value"
	 * @returns {Promise<Message | void>} the reply, if there is one, or an Error with the
	 * server's `code` and `retry`
	 */
	send(value) {
		return new Promise((resolve, reject) => {
			if (this.status === "closed" || !this.#protocol) return resolve(this.say(value));
			if (this.#waiting.length === most) return reject(failure("too much waits", "busy", true));
			const body = JSON.parse(JSON.stringify(Object(value) === value ? value : {value})); // as it is now
			const message = {body, at: this.#at, tries: 0, cuts: 0, resolve, reject};
			this.#name(message);
			this.#waiting.push(message);
			this.#write(message);
		});
	}

	/**
	 * Sends a text as it is, at once or not at all.
	 * @param {string} text
	 */
	say(text) {
		if (this.status !== "open") throw failure("not connected", "closed");
		this.#way.send(text, {said: true});
	}

	#name(message) { message.id = this.#client + ":" + (message.n = ++this.#number); }

	#write(message) {
		message.sent = 0;
		if (this.status !== "open") return;
		const [id, at] = this.#counts ? [message.id, message.n === 1 ? message.at : undefined] : [];
		message.sent = Date.now();
		message.tries++;
		if (!this.#way.send(JSON.stringify({...message.body, id, at}), message) && !id) this.#answer({id: message.id});
	}

	#dial() {
		const url = this.#address();
		url.protocol = url.protocol.replace("http", "ws");
		const way = this.#way = new WebSocket(url, this.#protocol ? [this.#protocol] : []);
		way.binaryType = "arraybuffer";
		way.onopen = () => this.#began(0);
		way.onmessage = e => this.#take(e.data);
		way.onclose = e => this.#ended(e.code, e.reason);
	}

	// Where WebSockets are blocked: an event stream, and a POST for each message.
	#follow() {
		const url = this.#address();
		url.searchParams.set("subprotocol", this.#protocol);
		const source = new EventSource(url), calls = new AbortController();
		let last = Promise.resolve();
		const post = async (body, message) => {
			if (this.#way !== way || !message.said && this.#waiting[0] !== message) return; // it is sent again
			message.tries++;
			let status = 0, text = "";
			try {
				const answer = await fetch(url, {method: "POST", body, signal: calls.signal});
				text = await answer.text();
				status = answer.status;
			} catch { /* nobody knows */ }
			if (this.#way !== way) return;
			const {id} = message, code = codes[status] || "http";
			if (text.startsWith('{"type":')) this.#take(text, id);
			else if (/^2/.test(status)) this.#answer({type: "reply", id, text});
			else this.#take(JSON.stringify({type: "error", error: "HTTP " + status, code, retry: /^[ub]/.test(code)}), id);
		};
		const way = this.#way = {
			close() { source.close(); calls.abort(); },
			send(body, message) {
				message.tries--;
				return last = last.then(() => post(body, message));
			},
		};
		source.onopen = () => this.#began(2);
		source.onmessage = e => this.#take(e.data);
		source.onerror = () => this.#ended(1006);
	}

	#address() {
		const url = new URL(this.#url);
		if (this.#point) url.searchParams.set("after", this.#point);
		return url;
	}

	#began(way) {
		clearTimeout(this.#timer);
		this.#usual = way; // tried first after sleep
		this.#opened = Date.now();
		this.#refusals = 0;
		this.status = "open";
		if (!this.#counts) this.#refuse(({tries}) => tries, lost, "unknown");
		this.#again();
		this.#show("open", "");
	}

	async #ended(code, reason = "") {
		const opened = this.#opened, [first] = this.#waiting;
		this.#leave();
		let why = `${code} ${reason}`.trim();
		if (opened) {
			if (first?.sent && ++first.cuts > mostCuts) this.#refuseAll(lost, "unknown");
			if (Date.now() - opened > 5e3) this.#failures = 0;
		} else {
			const again = this.#refusals++, way = this.#way = {close() {}};
			code = await this.#ask().catch(() => 0);
			if (this.#way !== way) return;
			why = code > 399 && code !== 426 ? "HTTP " + code : "cannot connect";
			if (!again) code = 0; // it may pass
		}
		if (final.includes(code)) return this.#stop(why);
		const delay = Math.max(Math.min(500 * 2 ** this.#failures++, 3e4), {1012: 5e3, 1013: 15e3}[code] || 0);
		this.#timer = setTimeout(() => this.connect(), delay * (0.5 + Math.random() / 2));
		this.#show("waiting", why);
	}

	// A browser does not tell why it is refused.
	async #ask() {
		const headers = {Accept: "text/event-stream, */*"}, signal = AbortSignal.timeout(3e3);
		return (await fetch(this.#address(), {method: "HEAD", headers, signal, credentials: "include"})).status;
	}

	#leave() {
		clearTimeout(this.#timer);
		const way = this.#way ?? {close() {}};
		way.onopen = way.onmessage = way.onclose = this.#way = null;
		way.close();
	}

	// After sleep the connection may be dead.
	#look = event => {
		const now = Date.now(), [first] = this.#waiting, wasHidden = this.#hidden;
		let dead = event?.persisted || event?.type.match("online|resume")
			|| this.status === "open" && first?.sent && now - Math.max(first.sent, this.#answered) > patience;
		this.#hidden = document.hidden;
		if (!this.#hidden) {
			dead ||= now - this.#alive > (wasHidden ? 7e4 : patience) || wasHidden && this.status !== "open";
			this.#alive = now;
		}
		if (!dead) return;
		this.#failures = 0;
		this.#refusals = this.#usual;
		this.connect();
		if (this.status !== "connecting") return;
		clearTimeout(this.#timer);
		this.#timer = setTimeout(() => this.connect(), 1e3);
	};

	#take(data, id) {
		let message;
		if (this.#hidden) this.#alive = Date.now();
		try { message = this.#protocol && JSON.parse(data); } catch { /* it is a text */ }
		if (!message?.type) return this.#tell("text", data);
		message.id ??= id;
		const {type, epoch, number, version = message.oldest - 1} = message, place = epoch + "-" + version;
		if (type === "event" && number && !this.#isNew(version, number, epoch)) return;
		const old = message.repeat || version < this.state?.version && epoch === this.state.epoch;
		if (epoch && !old) this.#at = place;
		if (epoch && type !== "reply" && type !== "event") this.#point = place;
		if (["state", "update", "reply"].includes(type) && !old) this.state = message;
		if (type === "state" && epoch) this.#counts = true;
		if (message.id !== undefined) this.#answer(message);
		if (message.code !== "stateless") this.#tell(type, message, data);
	}

	// An event that comes again after a cut.
	#isNew(version, number, epoch) {
		const [v, n, e] = this.#event;
		if (e === epoch && (version < v || version === v && number <= n)) return false;
		this.#event = [version, number, epoch];
		this.#point = epoch + "-" + version + "-" + number;
		return true;
	}

	#answer(message) {
		const i = this.#waiting.findIndex(({id}) => id === message.id);
		if (i < 0) return;
		this.#answered = Date.now();
		const {type, error, code, retry} = message;
		if (code === "stateless" && this.#counts) {
			this.#counts = false; // the room keeps nothing
			this.#refuse(({tries}) => tries > 1, lost, "unknown");
			return this.#renumber();
		}
		if (this.#counts && (code === "expected" && !i || code === "unknown_client" && this.#waiting.every(({tries}) => tries < 2))) {
			return this.#renumber(); // nothing that waits has counted
		}
		if (type === "error" && retry && (this.#counts || code !== "unknown")) {
			if (code === "unknown") this.#waiting[i].tries++;
			this.#retry ||= setTimeout(() => { this.#retry = 0; this.#again(); }, 200 + Math.random() * 800);
			return;
		}
		const [{resolve, reject}] = this.#waiting.splice(i, 1);
		if (type !== "error") return resolve(type && message);
		reject(failure(error, code, retry));
		if (code === "unknown_client" || code === "may_have_counted") this.#refuseAll(error, code);
	}

	#renumber() {
		this.#client = random();
		this.#number = 0;
		for (const message of this.#waiting) {
			message.at = this.#at;
			message.tries = 0;
			this.#name(message);
		}
		this.#again();
	}

	#again() { for (const message of [...this.#waiting]) this.#write(message); }

	#refuse(which, text, code) {
		this.#waiting = this.#waiting.filter(message => !which(message) || message.reject(failure(text, code)));
	}

	#refuseAll(text, code) {
		this.#refuse(() => true, text, code);
		this.#number = 0; // all may be used up
		this.#client = random();
	}

	#show(status, reason = this.reason) {
		this.status = status;
		this.reason = reason;
		this.#tell("status", status);
	}

	#tell(name, detail, data) { this.dispatchEvent(Object.assign(new CustomEvent(name, {detail}), {data})); }
}

const failure = (text, code, retry = false) => Object.assign(new Error(text), {code, retry});
