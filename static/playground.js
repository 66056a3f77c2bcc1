// The playground with scripts: answers appear as they come, and leaving cancels the call. Without it the form works too.
"use strict";

const form = document.querySelector("#play");
if (form) {
  const words = form.dataset;
  const find = (id) => document.getElementById(id);
  const [messages, answers, failed, clock, result] = ["messages", "answers", "failed", "clock", "result"].map(find);
  let running = null;
  let conversation = JSON.parse(find("conversation").value || "[]");

  const make = (name, className, text) => {
    const element = document.createElement(name);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  };

  const show = (role) => {
    find("nothing")?.remove();
    const one = make("article", `said ${role}`);
    one.append(make("h3", "", words[role]));
    messages.append(one);
    return one;
  };
  const atEnd = () => messages.scrollHeight - messages.scrollTop - messages.clientHeight < 80;
  // What a browser brings back into a field that nobody sees would be sent without being shown: only what is drawn counts.
  const keep = () => {
    if (!messages.querySelector(".said")) conversation = [];
    find("conversation").value = conversation.length ? JSON.stringify(conversation) : "";
  };
  const toEnd = () => { messages.scrollTop = messages.scrollHeight; };

  const fail = (text) => {
    failed.textContent = text;
    failed.hidden = !text;
  };

  // Messages at fields, as the server draws them.
  const mark = (errors) => {
    for (const old of form.querySelectorAll("p.error[data-live]")) old.remove();
    for (const field of form.querySelectorAll("[aria-invalid]")) {
      field.removeAttribute("aria-invalid");
      const hint = field.dataset.hint ?? "";
      if (hint) field.setAttribute("aria-describedby", hint);
      else field.removeAttribute("aria-describedby");
    }
    const rest = [];
    for (const [name, text] of Object.entries(errors)) {
      const field = find(name);
      if (!field || field.type === "hidden") { rest.push(text); continue; }
      const message = make("p", "error", text);
      message.id = `${name}-error`;
      message.dataset.live = "";
      find(message.id)?.remove();
      field.dataset.hint ??= (field.getAttribute("aria-describedby") ?? "").replace(message.id, "").trim();
      field.setAttribute("aria-invalid", "true");
      field.setAttribute("aria-describedby", `${message.id} ${field.dataset.hint}`.trim());
      field.after(message);
      for (let open = field.closest("details"); open; open = open.parentElement.closest("details")) open.open = true;
    }
    form.querySelector("[aria-invalid]")?.focus();
    fail(rest.join(" "));
  };

  const asData = (file) => new Promise((done, broken) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result);
    reader.onerror = broken;
    reader.readAsDataURL(file);
  });

  // The picture with the type that its first bytes tell, as the server writes it.
  const picture = (url) => {
    const bytes = url.split(",")[1] ?? "";
    const kinds = { iVBORw: "png", "/9j/": "jpeg", R0lGOD: "gif", UklGR: "webp" };
    const kind = Object.keys(kinds).find((start) => bytes.startsWith(start));
    return kind ? `data:image/${kinds[kind]};base64,${bytes}` : url;
  };

  // The same messages that the server makes of the form.
  const said = async () => {
    const added = [];
    for (const answer of answers.querySelectorAll("textarea")) {
      added.push({ role: "tool", tool_call_id: answer.name.slice("answer:".length), content: answer.value });
    }
    const text = form.elements.message.value.trimEnd();
    const urls = [
      ...(await Promise.all([...form.elements.pictures.files].map(asData))).map(picture),
      ...form.elements.picture_data.value.split("\n").map((line) => line.trim()).filter(Boolean),
    ];
    const shown = urls.map((url) => ({ type: "image_url", image_url: { url } }));
    if (shown.length) {
      added.push({ role: "user", content: [...(text.trim() ? [{ type: "text", text }] : []), ...shown] });
    } else if (text.trim()) {
      added.push({ role: "user", content: text });
    }
    return added;
  };

  const draw = (message) => {
    const one = show(message.role);
    const parts = Array.isArray(message.content) ? message.content : [{ type: "text", text: message.content ?? "" }];
    for (const part of parts) {
      if (part.text) one.append(make("div", "text", part.text));
      if (part.image_url) {
        const image = make("img");
        image.alt = words.picture;
        image.src = part.image_url.url;
        one.append(image);
      }
    }
    return one;
  };

  // Named events of a stream, whatever pieces they come in.
  async function* events(body) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      rest += value;
      for (let end = rest.indexOf("\n\n"); end >= 0; end = rest.indexOf("\n\n")) {
        const lines = rest.slice(0, end).split("\n");
        rest = rest.slice(end + 2);
        const data = lines.filter((line) => line.startsWith("data:")).map((line) => line.slice(5).trim()).join("\n");
        const name = lines.find((line) => line.startsWith("event:"))?.slice(6).trim() ?? "";
        if (data) yield { name, data };
      }
    }
  }

  // An answer while it grows.
  class Answer {
    constructor() {
      this.message = { role: "assistant", content: "" };
      this.reasoning = "";
      this.calls = [];
      this.element = show("assistant");
      this.element.classList.add("live");
      this.text = make("div", "text");
      this.element.append(this.text);
    }

    think(text) {
      if (!this.thoughts) {
        const details = make("details");
        details.append(make("summary", "", words.reasoning), (this.thoughts = make("div", "text muted")));
        this.element.insertBefore(details, this.text);
      }
      this.reasoning += text;
      this.thoughts.textContent = this.reasoning;
    }

    add(delta) {
      const thought = delta.reasoning_content ?? delta.reasoning;
      if (typeof thought === "string" && thought) this.think(thought);
      if (typeof delta.content === "string") {
        this.message.content += delta.content;
        this.text.append(delta.content);
      }
      for (const piece of delta.tool_calls ?? []) {
        const index = piece.index ?? this.calls.length;
        const call = (this.calls[index] ??= { id: "", type: "function", function: { name: "", arguments: "" } });
        if (piece.id) call.id = piece.id;
        if (piece.function?.name) call.function.name += piece.function.name;
        if (piece.function?.arguments) call.function.arguments += piece.function.arguments;
      }
    }

    end() {
      this.element.classList.remove("live");
      if (!this.text.textContent) this.text.remove();
      const calls = this.calls.filter(Boolean);
      for (const call of calls) {
        const shown = make("div", "call");
        const text = make("pre", "", call.function.arguments);
        text.tabIndex = 0;
        shown.append(make("strong", "", words.calls.replace("NAME", call.function.name)), text);
        this.element.append(shown);
      }
      if (this.reasoning) this.message.reasoning_content = this.reasoning;
      if (calls.length) this.message.tool_calls = calls;
      return Boolean(this.message.content || this.reasoning || calls.length);
    }
  }

  // Fields for what the tools give back.
  const askForResults = (calls = []) => {
    answers.replaceChildren(...calls.map((call) => {
      const field = make("div", "field");
      const label = make("label", "", words.answer.replace("NAME", call.function.name));
      const text = make("textarea", "in mono");
      text.id = text.name = label.htmlFor = `answer:${call.id}`;
      text.rows = 3;
      field.append(label, text);
      return field;
    }));
  };

  const run = async () => {
    const sent = new FormData(form);
    let added = [];
    const began = performance.now();
    const elapsed = () => `${((performance.now() - began) / 1000).toFixed(1)} s`;
    let first = "";
    running = new AbortController();
    find("send").disabled = true;
    find("stop").hidden = false;
    mark({});
    const tick = setInterval(() => { clock.textContent = first || `${words.waiting} ${elapsed()}`; }, 100);
    const drawn = [];
    let answer = null;
    let wrong = "";
    try {
      added = await said();
      const response = await fetch(words.stream, { method: "POST", body: sent, signal: running.signal });
      if (response.redirected) { location.reload(); return; }
      if (!response.headers.get("content-type")?.startsWith("text/event-stream")) {
        const told = await response.json().catch(() => ({ errors: { conversation: `HTTP ${response.status}` } }));
        mark(told.errors ?? {});
        return;
      }
      for (const message of added) drawn.push(draw(message));
      answer = new Answer();
      toEnd();
      let status = 200;
      for await (const { name, data } of events(response.body)) {
        if (data === "[DONE]") continue;
        const value = JSON.parse(data);
        if (name === "head") { status = value.status; continue; }
        if (name === "result") {
          result.innerHTML = value.html;
          result.hidden = false;
          continue;
        }
        const said = name === "whole" ? value?.choices?.[0]?.message : value.choices?.[0]?.delta;
        if (value?.error) wrong = `${status}: ${value.error.message}`;
        if (!said) { if (name === "whole" && !wrong) wrong = `HTTP ${status}`; continue; }
        if (!first && (said.content || said.tool_calls || said.reasoning_content || said.reasoning)) {
          first = `${words.first}: ${elapsed()}`;
        }
        const follow = atEnd();
        answer.add(said);
        if (follow) toEnd();
      }
    } catch (error) {
      wrong = error.name === "AbortError" ? words.stopped : words.lost;
    } finally {
      clearInterval(tick);
      clock.textContent = first ? `${first} · ${elapsed()}` : "";
      running = null;
      find("send").disabled = false;
      find("stop").hidden = true;
      const kept = answer?.end();
      if (answer && (wrong || !kept)) {
        // What was typed stays, to be sent again; a part of an answer stays to be read.
        if (!kept) { answer.element.remove(); drawn.forEach((one) => one.remove()); }
        fail(wrong || words.lost);
      } else if (answer) {
        conversation.push(...added, answer.message);
        keep();
        form.elements.message.value = form.elements.picture_data.value = form.elements.pictures.value = "";
        askForResults(answer.message.tool_calls);
        (answers.querySelector("textarea") ?? form.elements.message).focus();
        toEnd();
      }
    }
  };

  form.addEventListener("submit", (event) => {
    if (event.submitter?.value === "models") return;
    event.preventDefault();
    if (!running) run();
  });
  find("stop").addEventListener("click", () => running?.abort());
  form.elements.message.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); form.requestSubmit(find("send")); }
  });

  // The models of the token, by what is typed.
  let asked = 0;
  const listModels = async () => {
    const number = ++asked;
    const query = new URLSearchParams({ token: form.elements.token.value, q: form.elements.model.value });
    const response = await fetch(`${words.models}?${query}`).catch(() => null);
    if (!response?.ok || number !== asked) return;
    find("models").replaceChildren(...(await response.json()).map(([name, isChain]) => {
      const option = make("option");
      option.value = name;
      if (isChain) option.label = words.chain;
      return option;
    }));
  };
  let soon;
  form.elements.model.addEventListener("input", () => { clearTimeout(soon); soon = setTimeout(listModels, 200); });
  form.elements.token.addEventListener("change", () => {
    form.elements.model.value = "";
    listModels();
    find("new-chat").href = `/playground?${new URLSearchParams({ token: form.elements.token.value })}`;
  });
  keep();
  addEventListener("pageshow", keep);
  toEnd();
}
