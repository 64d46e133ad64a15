// The labelling page. The studio's server says what to show (a "view"); this page shows it, plays the clips in step,
// measures the time with both clips visible, and sends answers through an outbox that survives a lost connection,
// a restarted studio and a closed tab. Four parts: clips, player, outbox, page.

const $ = (id) => document.getElementById(id);
const calm = matchMedia("(prefers-reduced-motion: reduce)");

// ---------------------------------------------------------------- words

const WORDS = {
  comparison: "Which one does it better?",
  rating: "How well is it doing?",
  steps: "This kind of question cannot be answered here yet",
  letters: ["A", "B"],
  better: (letter) => `${letter} is better`,
  tie: "About the same",
  grades: (levels) => (levels === 5 ? ["very bad", "bad", "so-so", "good", "very good"]
    : Array.from({ length: levels }, (_, i) => (i === 0 ? "worst" : i === levels - 1 ? "best" : ""))),
  drawing: "Drawing the clip …",
  drawingLong: "Drawing takes longer than usual. The terminal that started the studio shows whether the clip worker runs.",
  failed: (why) => `This clip could not be drawn.\n${why}\nSkip the question; the others are not affected.`,
  given: (label) => `${label}.`,
  skipped: "Skipped.",
  undone: "Taken back: answer again.",
  late: "That answer is saved already and cannot be taken back.",
  offline: (n) => `No connection to the studio. ${n === 1 ? "1 answer is" : `${n} answers are`} kept in this browser and will be sent.`,
  offlineIdle: "No connection to the studio. Trying again …",
  offlineTitle: "No connection",
  progress: (done, total, left) => [total ? `${done} of ${total} answered` : `${done} answered`, left ? `${left} waiting` : ""].filter(Boolean).join(" · "),
  loading: ["Opening", "One moment …"],
  waiting: "No question now",
  stage: {
    act: "The agent is acting, to have something new to show.",
    ask: "The run is choosing the next questions.",
    learn: "The run is learning what you want from the answers so far.",
    improve: "The run is training the agent.",
    check: "The run is checking how well the agent does.",
    unknown: "The run is not asking anything at the moment.",
  },
  soon: (seconds) => `The next questions come in about ${span(seconds)}.`,
  any: "The next questions come by themselves; you can leave this page open.",
  breakTitle: "Take your time",
  breakText: "Your answers are saved. You can close this page and come back later.",
  resume: "Go on",
  finishedTitle: "Thank you",
  finished: (n) => `The run is complete; there is nothing left to answer.${n ? `\n${n === 1 ? "You answered 1 question." : `You answered ${n} questions.`}` : ""}`,
  lockedTitle: "This page is no longer signed in",
  locked: (n) => `The studio was restarted, or the sign-in has run out. Open the new link that the terminal shows.${n ? `\n${n === 1 ? "1 answer is" : `${n} answers are`} kept in this browser and will be sent then.` : ""}`,
  keys: {
    comparison: [[["←"], "A is better"], [["→"], "B is better"], [["↓"], "About the same"]],
    rating: [[["1", "…", "9"], "Give that grade"]],
    steps: [],
    all: [[["S"], "Skip: I cannot tell"], [["U"], "Undo the last answer"], [["space"], "Play again from the start"], [["P"], "Pause or go on"], [[",", "."], "One frame back or forth"], [["?"], "Show this"]],
  },
};

function span(seconds) {
  if (seconds < 50) return `${Math.max(5, Math.round(seconds / 5) * 5)} seconds`;
  const minutes = Math.max(1, Math.round(seconds / 60));
  return minutes === 1 ? "a minute" : `${minutes} minutes`;
}

// ---------------------------------------------------------------- clips
// An animated WebP is taken apart here, frame by frame, so that two clips can run on one clock.

async function loadClip(url) {
  const reply = await fetch(url);
  if (!reply.ok) throw new Error(`${reply.status}`);
  const data = await reply.arrayBuffer();
  const parts = webpFrames(data);
  if (!parts) {
    const image = await createImageBitmap(new Blob([data]));
    return { width: image.width, height: image.height, frames: [image], ends: [1] };
  }
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [parts.width, parts.height];
  const pen = canvas.getContext("2d");
  const frames = [];
  const ends = [];
  for (const part of parts.frames) {
    const image = await createImageBitmap(new Blob([part.file], { type: "image/webp" }));
    if (!part.blend) pen.clearRect(part.x, part.y, part.width, part.height);
    pen.drawImage(image, part.x, part.y);
    frames.push(await createImageBitmap(canvas));
    ends.push((ends.at(-1) ?? 0) + Math.max(part.duration, 10));
    if (part.dispose) pen.clearRect(part.x, part.y, part.width, part.height);
    image.close();
  }
  return { width: parts.width, height: parts.height, frames, ends };
}

function webpFrames(data) {
  const view = new DataView(data);
  const name = (at) => String.fromCharCode(view.getUint8(at), view.getUint8(at + 1), view.getUint8(at + 2), view.getUint8(at + 3));
  const int24 = (at) => view.getUint16(at, true) | (view.getUint8(at + 2) << 16);
  if (data.byteLength < 30 || name(0) !== "RIFF" || name(8) !== "WEBP" || name(12) !== "VP8X") return null;
  const frames = [];
  const size = { width: int24(24) + 1, height: int24(27) + 1 };
  for (let at = 12; at + 8 <= data.byteLength; ) {
    const length = view.getUint32(at + 4, true);
    if (name(at) === "ANMF") {
      const flags = view.getUint8(at + 23);
      const [width, height] = [int24(at + 14) + 1, int24(at + 17) + 1];
      frames.push({
        x: 2 * int24(at + 8), y: 2 * int24(at + 11), width, height, duration: int24(at + 20),
        blend: !(flags & 2), dispose: Boolean(flags & 1),
        file: wrapFrame(new Uint8Array(data, at + 24, length - 16), width, height, name(at + 24) === "ALPH"),
      });
    }
    at += 8 + length + (length & 1);
  }
  return frames.length ? { ...size, frames } : null;
}

function wrapFrame(chunks, width, height, alpha) {
  const extra = alpha ? 18 : 0;
  const file = new Uint8Array(12 + extra + chunks.length);
  const view = new DataView(file.buffer);
  const write = (at, text) => [...text].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
  write(0, "RIFF");
  view.setUint32(4, file.length - 8, true);
  write(8, "WEBP");
  if (alpha) {
    write(12, "VP8X");
    view.setUint32(16, 10, true);
    view.setUint8(20, 0x10);
    [[24, width - 1], [27, height - 1]].forEach(([at, value]) => [0, 8, 16].forEach((shift, i) => view.setUint8(at + i, (value >> shift) & 255)));
  }
  file.set(chunks, 12 + extra);
  return file;
}

const clips = new Map(); // url -> promise of a clip

function clipAt(url) {
  if (!clips.has(url)) {
    const promise = loadClip(url);
    promise.catch(() => clips.delete(url));
    clips.set(url, promise);
  }
  return clips.get(url);
}

function forgetClips(keep) {
  for (const [url, promise] of clips) {
    if (keep.has(url)) continue;
    clips.delete(url);
    promise.then((clip) => clip.frames.forEach((frame) => frame.close()), () => {});
  }
}

// ---------------------------------------------------------------- player
// All clips of a question run on one clock and start together.

const REST = 700; // milliseconds on the last frame before the loop starts again

const player = {
  tracks: [], // { clip, canvas, at }
  time: 0,
  playing: false,
  last: 0,
  get total() { return Math.max(1, ...this.tracks.map((track) => track.clip.ends.at(-1))); },
  show(tracks) {
    this.tracks = tracks.map((track) => ({ ...track, at: -1 }));
    this.time = 0;
    this.playing = !calm.matches;
    this.draw();
  },
  clear() { this.tracks = []; this.playing = false; },
  replay() { this.time = 0; this.playing = true; this.draw(); },
  toggle() {
    if (!this.playing && this.time >= this.total) this.time = 0;
    this.playing = !this.playing;
    this.draw();
  },
  step(by) {
    this.playing = false;
    const ends = this.tracks[0]?.clip.ends ?? [1];
    const now = frameAt(ends, this.time);
    const next = Math.min(Math.max(now + by, 0), ends.length - 1);
    this.time = next ? ends[next - 1] : 0;
    this.draw();
  },
  seek(share) { this.playing = false; this.time = share * (this.total - 1); this.draw(); },
  tick(now) {
    const passed = Math.min(now - this.last, 100); // a tab that was hidden does not jump
    this.last = now;
    if (this.playing && this.tracks.length && document.visibilityState === "visible") {
      this.time += passed;
      if (this.time > this.total + REST) this.time = calm.matches ? this.total : 0;
      if (calm.matches && this.time >= this.total) this.playing = false;
      this.draw();
    }
    requestAnimationFrame((next) => this.tick(next));
  },
  draw() {
    for (const track of this.tracks) {
      const at = frameAt(track.clip.ends, this.time);
      if (at !== track.at) {
        track.canvas.getContext("2d").drawImage(track.clip.frames[at], 0, 0);
        track.at = at;
      }
    }
    if (document.activeElement !== $("scrub") || this.playing) $("scrub").value = Math.min(1000, (1000 * this.time) / this.total);
    $("toggle").classList.toggle("paused", !this.playing);
    $("toggle").setAttribute("aria-label", this.playing ? "Pause" : "Play");
  },
};

function frameAt(ends, time) {
  const found = ends.findIndex((end) => time < end);
  return found < 0 ? ends.length - 1 : found;
}

// ---------------------------------------------------------------- stopwatch
// Time with all clips of the question visible and this page in front, summed over all showings of the question.

const watch = {
  spent: new Map(), // query id -> milliseconds
  query: null,
  since: null,
  start(query) { this.stop(); this.query = query; this.turn(); },
  turn() {
    const running = this.query !== null && document.visibilityState === "visible" && !$("keys").open;
    if (running && this.since === null) this.since = performance.now();
    if (!running && this.since !== null) {
      this.spent.set(this.query, this.of(this.query));
      this.since = null;
    }
  },
  stop() {
    if (this.since !== null) this.spent.set(this.query, this.of(this.query));
    this.since = null;
    this.query = null;
  },
  of(query) { return (this.spent.get(query) ?? 0) + (this.query === query && this.since !== null ? performance.now() - this.since : 0); },
};

// ---------------------------------------------------------------- outbox
// Entries are { kind: "answer" | "undo" | "cue", body, question?, sentIn? }. An answer stays until the server says that
// it is saved; what a restarted server (another view.session) was never sent goes out again. One request at a time.

const outbox = {
  key: null,
  entries: [],
  busy: false,
  failures: 0,
  locked: false,
  load(run, annotator) {
    if (this.key) return;
    this.key = `plaudit:${run}:${annotator}`;
    let kept = [];
    try { kept = JSON.parse(localStorage.getItem(this.key) ?? "[]"); } catch { /* nothing readable was kept */ }
    this.entries = [...kept.map((entry) => ({ ...entry, sentIn: undefined })), ...this.entries];
  },
  keep() {
    if (!this.key) return;
    try { localStorage.setItem(this.key, JSON.stringify(this.entries)); } catch { /* full or forbidden: memory has to do */ }
  },
  get unsent() { return this.entries.filter((entry) => entry.sentIn === undefined); },
  add(entry) { this.entries.push(entry); this.keep(); this.pump(); },
  drop(entry) { this.entries = this.entries.filter((other) => other !== entry); this.keep(); },
  async pump() {
    if (this.busy || this.locked) return;
    const entry = this.key ? this.unsent[0] : undefined;
    this.busy = true;
    const outcome = entry ? await this.send(entry) : await request("GET", "/api/next");
    this.busy = false;
    if (outcome.view) {
      this.failures = 0;
      this.settle(outcome.view);
      page.take(outcome.view);
    } else if (outcome.locked) {
      this.locked = true;
      page.render();
    } else {
      this.failures += 1;
      page.render();
    }
    this.schedule();
  },
  async send(entry) {
    const path = { answer: "/api/feedback", undo: "/api/undo", cue: "/api/session" }[entry.kind];
    entry.inFlight = true;
    const outcome = await request("POST", path, entry.body);
    entry.inFlight = false;
    if (outcome.refused) {
      // it can never be taken: another answer stands, or it came too late
      this.drop(entry);
      page.say(entry.kind === "undo" ? WORDS.late : outcome.refused, true);
      return request("GET", "/api/next");
    }
    if (outcome.view) {
      if (entry.kind === "answer") entry.sentIn = outcome.view.session;
      else this.drop(entry);
      if (entry.kind === "undo") this.entries = this.entries.filter((other) => other.body.id !== entry.body.submission);
    }
    return outcome;
  },
  settle(view) {
    this.load(view.run, view.annotator);
    const saved = new Set(view.saved);
    this.entries = this.entries.filter((entry) => !(entry.kind === "answer" && saved.has(entry.body.id)));
    for (const entry of this.entries) if (entry.sentIn !== undefined && entry.sentIn !== view.session) entry.sentIn = undefined;
    this.keep();
  },
  schedule() {
    clearTimeout(this.timer);
    if (this.locked) return;
    const drawn = page.view?.questions.every((question) => question.clips.every((clip) => clip.url || clip.error));
    const quiet = page.view?.state === "question" && drawn && page.ready() ? 4000 : page.view?.state === "finished" ? 20000 : 900;
    const delay = this.failures ? Math.min(1000 * 2 ** (this.failures - 1), 15000) : this.unsent.length ? 0 : quiet;
    this.timer = setTimeout(() => this.pump(), delay);
  },
  hurry() { if (!this.busy) { clearTimeout(this.timer); this.pump(); } },
};

async function request(method, path, body) {
  try {
    const reply = await fetch(path, {
      method,
      headers: body ? { "Content-Type": "application/json" } : {},
      body: body && JSON.stringify(body),
      cache: "no-store",
      signal: AbortSignal.timeout(20000),
    });
    if (reply.status === 401) return { locked: true };
    if (reply.status === 409 || reply.status === 422) return { refused: (await reply.json()).error ?? "The studio refused this." };
    return reply.ok ? { view: await reply.json() } : { failed: true };
  } catch {
    return { failed: true };
  }
}

// ---------------------------------------------------------------- page

const page = {
  view: null,
  question: null, // what is on the screen
  drawn: false, // whether all its clips are
  choosing: false,
  since: performance.now(),
  readUntil: 0,
  trouble: null,

  // The server's queue, with what the outbox has not delivered yet played over it.
  queue() {
    let queue = [...(this.view?.questions ?? [])];
    for (const entry of outbox.unsent) {
      if (entry.kind === "answer") queue = queue.filter((question) => question.id !== entry.body.query);
      if (entry.kind === "undo" && entry.question) queue = [entry.question, ...queue.filter((question) => question.id !== entry.question.id)];
    }
    return queue;
  },

  // The last answer that can still be taken back.
  undoable() {
    const last = outbox.unsent.at(-1);
    if (last?.kind === "answer") return { submission: last.body.id, question: last.question, entry: last };
    if (last || !this.view?.undoable) return null;
    const sent = outbox.entries.find((entry) => entry.body.id === this.view.undoable);
    return { submission: this.view.undoable, question: sent?.question };
  },

  ready() { return this.drawn && this.question !== null; },

  take(view) {
    this.view = view;
    this.render();
  },

  // A warning stands as long as its cause; anything else until the next word, but long enough to be read.
  say(text, warn = false) {
    if ($("status").textContent !== text) $("status").textContent = text;
    $("status").classList.toggle("warn", warn);
    this.readUntil = performance.now() + 5000;
  },

  render() {
    if (this.choosing) return;
    const queue = this.queue();
    const view = this.view;
    const unsent = outbox.unsent.filter((entry) => entry.kind === "answer").length;
    this.progress(unsent);
    if (outbox.failures) this.say(unsent ? WORDS.offline(unsent) : WORDS.offlineIdle, true);
    else if (view?.trouble) this.say(view.trouble, true);
    else if (performance.now() > this.readUntil || $("status").textContent === this.trouble) this.say("");
    this.trouble = outbox.failures || view?.trouble ? $("status").textContent : null;
    $("undo").disabled = this.undoable() === null;
    const answering = queue.length > 0 && view?.state !== "break" && !outbox.locked;
    $("ask").hidden = !answering;
    $("message").hidden = answering;
    for (const id of ["skip", "pause"]) $(id).disabled = !answering && !(id === "pause" && view?.state === "waiting");
    if (answering) this.ask(queue[0]);
    else this.message();
    queue.slice(1).flatMap((question) => question.clips).forEach((clip) => clip.url && clipAt(clip.url).catch(() => {}));
    const last = this.undoable()?.question;
    forgetClips(new Set([...queue, ...(last ? [last] : [])].flatMap((question) => question.clips.map((clip) => clip.url))));
  },

  progress(unsent) {
    const progress = this.view?.progress;
    if (!progress) return;
    const done = progress.answered + unsent;
    const left = Math.max(0, progress.open - unsent);
    $("progress-text").textContent = WORDS.progress(done, progress.total, left);
    const bar = $("progress");
    bar.hidden = !progress.total;
    bar.setAttribute("aria-valuemax", progress.total ?? 0);
    bar.setAttribute("aria-valuenow", done);
    bar.firstElementChild.style.width = `${progress.total ? Math.min(100, (100 * done) / progress.total) : 0}%`;
  },

  // ---- a question

  ask(question) {
    const fresh = this.question?.id !== question.id;
    const stamp = JSON.stringify(question.clips);
    if (!fresh && this.stamp === stamp) {
      this.overdue();
      return;
    }
    this.stamp = stamp;
    this.question = question;
    if (fresh) {
      this.since = performance.now();
      this.drawn = false;
      watch.stop();
      player.clear();
      this.form(question);
      $("title").textContent = WORDS[question.kind];
      $("hint").textContent = this.view?.instruction ?? "";
      document.title = `plaudit · ${WORDS[question.kind]}`;
    }
    this.draw(question);
  },

  form(question) {
    const box = $("answers");
    box.replaceChildren();
    box.classList.toggle("scale", question.kind === "rating");
    const add = (pick, grade, label, key, soft) => {
      const button = document.createElement("button");
      button.type = "button";
      button.dataset.pick = pick;
      if (grade !== undefined) button.dataset.grade = grade;
      if (soft) button.className = "soft";
      button.setAttribute("aria-pressed", "false");
      button.disabled = true;
      button.append(...label);
      if (key) button.append(Object.assign(document.createElement("kbd"), { textContent: key }));
      button.addEventListener("click", () => this.choose(pick, grade));
      box.append(button);
    };
    const text = (tag, content) => Object.assign(document.createElement(tag), { textContent: content });
    if (question.kind === "comparison") {
      add("left", undefined, [text("span", WORDS.better(WORDS.letters[0]))], "←");
      add("tie", undefined, [text("span", WORDS.tie)], "↓", true);
      add("right", undefined, [text("span", WORDS.better(WORDS.letters[1]))], "→");
    } else if (question.kind === "rating") {
      WORDS.grades(question.levels).forEach((word, grade) => add("grade", grade, [text("span", `${grade + 1}`), text("small", word)]));
    }
  },

  async draw(question) {
    const several = question.clips.length > 1;
    const box = $("clips");
    box.classList.toggle("one", !several);
    box.replaceChildren(...question.clips.map((clip, i) => {
      const figure = document.createElement("figure");
      figure.className = "clip";
      figure.setAttribute("role", "img");
      figure.setAttribute("aria-label", several ? `Clip ${WORDS.letters[i]}` : "Clip");
      const note = document.createElement("div");
      note.className = "note";
      if (!clip.error) {
        note.append(Object.assign(document.createElement("div"), { className: "dots" }));
        note.firstChild.append(...[1, 2, 3].map(() => document.createElement("i")));
      }
      note.append(Object.assign(document.createElement("p"), { textContent: clip.error ? WORDS.failed(clip.error) : WORDS.drawing }));
      figure.append(note);
      if (several) figure.append(Object.assign(document.createElement("span"), { className: "name", textContent: WORDS.letters[i] }));
      return figure;
    }));
    $("transport").classList.add("idle");
    if (!question.clips.every((clip) => clip.url)) return;
    let loaded;
    try {
      loaded = await Promise.all(question.clips.map((clip) => clipAt(clip.url)));
    } catch {
      if (this.question === question) this.stamp = null; // the next view tries again
      return;
    }
    if (this.question !== question) return;
    const tracks = loaded.map((clip, i) => {
      const canvas = document.createElement("canvas");
      [canvas.width, canvas.height] = [clip.width, clip.height];
      box.children[i].querySelector(".note").replaceWith(canvas);
      return { clip, canvas };
    });
    $("transport").classList.remove("idle");
    box.style.setProperty("--ratio", Math.max(...loaded.map((clip) => clip.width / clip.height)));
    player.show(tracks);
    this.drawn = true;
    for (const button of $("answers").children) button.disabled = false;
    watch.start(question.id);
    outbox.schedule();
  },

  overdue() {
    if (this.drawn || performance.now() - this.since < 20000) return;
    for (const note of document.querySelectorAll("#clips .note p")) if (note.textContent === WORDS.drawing) note.textContent = WORDS.drawingLong;
  },

  async choose(pick, grade) {
    const question = this.question;
    if (this.choosing || !question || $("ask").hidden || (pick !== "skip" && !this.drawn)) return;
    this.choosing = true;
    const milliseconds = watch.of(question.id);
    watch.stop();
    const body = { id: crypto.randomUUID(), query: question.id, pick, answered_at: new Date().toISOString(), seconds: Math.round(milliseconds) / 1000 };
    if (pick === "grade") body.grade = grade;
    outbox.add({ kind: "answer", body, question });
    this.mark(pick, grade);
    await new Promise((done) => setTimeout(done, calm.matches ? 150 : 260));
    this.choosing = false;
    this.render();
  },

  mark(pick, grade) {
    const figures = [...document.querySelectorAll(".clip")];
    const chosen = { left: [0], right: [1], tie: [0, 1], grade: [0], skip: [] }[pick];
    figures.forEach((figure, i) => figure.classList.add(chosen.includes(i) ? "chosen" : "passed"));
    const button = [...$("answers").children].find((other) => other.dataset.pick === pick && (grade === undefined || Number(other.dataset.grade) === grade));
    button?.setAttribute("aria-pressed", "true");
    const words = button ? [...button.querySelectorAll("span, small")].map((part) => part.textContent).filter(Boolean).join(", ") : "";
    if (!outbox.failures) this.say(pick === "skip" ? WORDS.skipped : WORDS.given(words));
  },

  undo() {
    const last = this.undoable();
    if (!last || this.choosing) return;
    if (last.entry && !last.entry.inFlight) outbox.drop(last.entry);
    else outbox.add({ kind: "undo", body: { submission: last.submission }, question: last.question });
    this.say(WORDS.undone);
    this.render();
  },

  cue(name) { outbox.add({ kind: "cue", body: { cue: name } }); },

  // ---- anything else

  message() {
    this.question = null;
    this.stamp = null;
    this.drawn = false;
    watch.stop();
    player.clear();
    document.title = "plaudit";
    const view = this.view;
    const mine = view?.progress.mine ?? 0;
    const unsent = outbox.unsent.filter((entry) => entry.kind === "answer").length;
    let [title, text, buttons, busy] = [...WORDS.loading, [], true];
    if (outbox.locked) [title, text, busy] = [WORDS.lockedTitle, WORDS.locked(unsent), false];
    else if (view?.state === "break") [title, text, buttons, busy] = [WORDS.breakTitle, WORDS.breakText, [["resume", WORDS.resume]], false];
    else if (view?.state === "finished") [title, text, buttons, busy] = [WORDS.finishedTitle, WORDS.finished(mine), [], false];
    else if (outbox.failures) [title, text] = [WORDS.offlineTitle, unsent ? WORDS.offline(unsent) : WORDS.offlineIdle];
    else if (view && view.state !== "question") {
      const { stage, seconds } = view.waiting ?? {};
      [title, text] = [WORDS.waiting, `${WORDS.stage[stage] ?? WORDS.stage.unknown}\n${seconds ? WORDS.soon(seconds) : WORDS.any}`];
    }
    $("spinner").hidden = !busy;
    if ($("message-title").textContent !== title) $("message-title").textContent = title;
    if ($("message-text").textContent !== text) $("message-text").textContent = text;
    const stamp = JSON.stringify(buttons);
    if ($("message-buttons").dataset.stamp === stamp) return;
    $("message-buttons").dataset.stamp = stamp;
    $("message-buttons").replaceChildren(...buttons.map(([cue, label]) => {
      const button = Object.assign(document.createElement("button"), { type: "button", textContent: label, className: "main" });
      button.addEventListener("click", () => this.cue(cue));
      return button;
    }));
  },

  help() {
    const kind = this.question?.kind ?? "comparison";
    $("key-list").replaceChildren(...[...WORDS.keys[kind], ...WORDS.keys.all].flatMap(([keys, meaning]) => {
      const term = document.createElement("dt");
      term.append(...keys.map((key) => (key === "…" ? "…" : Object.assign(document.createElement("kbd"), { textContent: key }))));
      return [term, Object.assign(document.createElement("dd"), { textContent: meaning })];
    }));
    $("keys").showModal();
    watch.turn();
  },

  key(event) {
    const typing = event.target.closest("input, textarea, select, [contenteditable], dialog");
    if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.metaKey || event.altKey || typing) return;
    if (event.key === "?") return void this.help();
    if (!$("shortcuts").checked) return;
    const kind = this.question?.kind;
    const side = { ArrowLeft: "left", ArrowRight: "right", ArrowDown: "tie" }[event.key];
    const letter = event.key.toLowerCase();
    const digit = /^[1-9]$/.test(event.key) ? Number(event.key) : null;
    let action = null;
    if (side && kind === "comparison") action = () => this.choose(side);
    else if (digit && kind === "rating" && digit <= this.question.levels) action = () => this.choose("grade", digit - 1);
    else if (letter === "s" && !$("skip").disabled) action = () => this.choose("skip");
    else if (letter === "u") action = () => this.undo();
    else if (letter === "p" && this.drawn) action = () => player.toggle();
    else if (event.key === "," || event.key === ".") action = () => player.step(event.key === "," ? -1 : 1);
    else if (event.key === " " && this.drawn && !event.target.closest("button")) action = () => player.replay();
    if (!action) return;
    event.preventDefault();
    if (!event.repeat) action();
  },
};

// ---------------------------------------------------------------- start

document.addEventListener("keydown", (event) => page.key(event));
document.addEventListener("visibilitychange", () => { watch.turn(); if (document.visibilityState === "visible") outbox.hurry(); });
addEventListener("online", () => outbox.hurry());
$("toggle").addEventListener("click", () => player.toggle());
$("replay").addEventListener("click", () => player.replay());
$("scrub").addEventListener("input", (event) => player.seek(event.target.value / 1000));
$("scrub").addEventListener("pointerup", (event) => event.target.blur());
$("undo").addEventListener("click", () => page.undo());
$("skip").addEventListener("click", () => page.choose("skip"));
$("pause").addEventListener("click", () => page.cue("pause"));
$("help").addEventListener("click", () => page.help());
$("keys").addEventListener("close", () => watch.turn());
$("shortcuts").checked = localStorage.getItem("plaudit:shortcuts") !== "off";
$("shortcuts").addEventListener("change", (event) => localStorage.setItem("plaudit:shortcuts", event.target.checked ? "on" : "off"));
page.render();
requestAnimationFrame((now) => { player.last = now; player.tick(now); });
outbox.pump();
