// What a page breaks of what WCAG 2.2 AA asks (that a script can see), and text that is cut off. Runs in a page that shows the report in an iframe of each width and scheme.
function findings(frame) {
  const page = frame.contentDocument, view = frame.contentWindow, found = [];
  const say = (rule, node, words = "") => found.push(`${rule}: ${words} ${(node?.outerHTML ?? "").slice(0, 160)}`);
  const all = (query) => [...page.querySelectorAll(query)];
  const style = (node) => view.getComputedStyle(node);
  const seen = (node) => node.checkVisibility({ visibilityProperty: true }) && !node.closest(".heard, .skip") && !(node.closest("thead") && style(node.closest("thead")).position === "absolute");

  // structure
  if (!page.documentElement.lang) say("lang", page.documentElement);
  if (!page.title.trim()) say("title", page.head);
  for (const [query, count] of [["main", 1], ["h1", 1], ["body > header", 1], ["body > footer", 1]])
    if (all(query).length !== count) say("landmarks", page.body, `${all(query).length} of ${query}`);
  for (const node of page.body.children) if (!node.matches("header, main, footer, nav, .skip")) say("region", node);
  for (const node of all("nav, [role=region]")) if (!node.ariaLabel?.trim()) say("label", node);
  let level = 0;
  for (const node of all("h1, h2, h3, h4, h5, h6")) {
    const next = Number(node.tagName[1]);
    if (next > level + 1) say("heading order", node, `h${level} to h${next}`);
    if (!node.textContent.trim()) say("empty heading", node);
    level = next;
  }
  const ids = all("[id]").map((node) => node.id);
  for (const id of new Set(ids.filter((id, i) => ids.indexOf(id) !== i))) say("duplicate id", page.getElementById(id), id);
  for (const node of all("a")) {
    if (!node.textContent.trim()) say("empty link", node);
    const href = node.getAttribute("href") ?? "";
    if (href.startsWith("#") && !page.getElementById(href.slice(1))) say("dead link", node);
  }
  for (const node of all("[href^='#'], [aria-labelledby]")) {
    const id = node.getAttribute("aria-labelledby") ?? node.getAttribute("href").slice(1);
    if (!page.getElementById(id)) say("dead reference", node, id);
  }
  for (const node of all("img, svg")) {
    const words = node.matches("img") ? node.alt : node.role === "img" ? node.ariaLabel : "";
    if (!words || words.trim().split(/\s+/).length < 4) say("picture without words", node, words);
  }
  for (const node of all("table")) {
    if (!node.caption?.textContent.trim()) say("table without caption", node);
    if (!node.tHead) say("table without head", node);
    const scopes = ["col", "row", "colgroup", "rowgroup"];
    for (const head of node.querySelectorAll("th")) if (!scopes.includes(head.scope)) say("th without scope", head);
    for (const row of node.tBodies[0]?.rows ?? []) if (row.cells[0].tagName !== "TH") say("row without head", row);
  }
  for (const node of all("details")) if (node.firstElementChild?.tagName !== "SUMMARY") say("details without summary", node);
  for (const node of all("ul, ol")) for (const item of node.children) if (item.tagName !== "LI") say("list", item);

  // what is cut off
  for (const node of all("details")) node.open = true;
  const wide = page.documentElement.clientWidth;
  if (page.documentElement.scrollWidth > wide) say("wider than the page", page.body, page.documentElement.scrollWidth);
  for (const node of all("th, td, p, li, summary, figcaption, caption, h1, h2, pre, .table, .panels, figure")) {
    if (!seen(node)) continue;
    const box = node.getBoundingClientRect(), scroller = node.closest(".scroll");
    if (scroller && scroller !== node) continue;
    if (!node.matches(".panels-wide") && node.scrollWidth > node.clientWidth + 1 && node.clientWidth && style(node).overflowX !== "visible")
      say(node.tabIndex < 0 ? "scrolls without keyboard" : "scrolls", node, `${node.scrollWidth} of ${node.clientWidth}`);
    if (box.right > wide + 1 || box.left < -1) say("cut off", node, `${Math.round(box.left)} to ${Math.round(box.right)}`);
  }
  for (const node of all("svg")) {
    const out = node.getBoundingClientRect(), texts = [...node.querySelectorAll("text")];
    for (const text of texts) {
      const box = text.getBoundingClientRect();
      if (box.left < out.left - 3 || box.right > out.right + 3 || box.top < out.top - 3 || box.bottom > out.bottom + 3)
        say("text outside of its picture", text, `by ${[out.left - box.left, box.right - out.right, out.top - box.top, box.bottom - out.bottom].map(Math.round)}`);
      const size = parseFloat(style(text).fontSize) * (out.width / node.viewBox.baseVal.width);
      if (size < 7.5) say("small text", text, size.toFixed(1));
    }
  }

  // contrast
  const rgb = (colour) => (colour.match(/[\d.]+/g) ?? [0, 0, 0, 0]).map(Number);
  const light = (colour) => {
    const [r, g, b] = rgb(colour).map((x) => (x /= 255) <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const opaque = (colour) => (rgb(colour)[3] ?? 1) === 1 && colour !== "none";
  const behind = (node) => {
    for (let at = node; at; at = at.parentElement) if (opaque(style(at).backgroundColor)) return style(at).backgroundColor;
    return "rgb(255, 255, 255)";
  };
  const cells = new Map(); // filled shapes of a picture, the last on top
  const under = (text) => {
    const svg = text.closest("svg"), box = text.getBoundingClientRect(), x = (box.left + box.right) / 2, y = (box.top + box.bottom) / 2;
    if (!cells.has(svg))
      cells.set(svg, [...svg.querySelectorAll("path, use")].filter((n) => style(n).fill !== "none" && style(n).fillOpacity === "1" && style(n).opacity === "1")
        .map((n) => [n.getBoundingClientRect(), style(n).fill]));
    const on = cells.get(svg).filter(([b]) => b.left <= x && b.right >= x && b.top <= y && b.bottom >= y).pop();
    return on ? on[1] : behind(svg);
  };
  const walk = page.createTreeWalker(page.body, 4), done = new Set();
  while (walk.nextNode()) {
    const node = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || done.has(node) || !seen(node)) continue;
    done.add(node);
    const drawn = node.closest("svg"), front = drawn ? style(node).fill : style(node).color, back = drawn ? under(node) : behind(node);
    const [a, b] = [light(front), light(back)].sort((x, y) => y - x), ratio = (a + 0.05) / (b + 0.05);
    const size = parseFloat(style(node).fontSize), large = size >= 24 || (size >= 18.66 && Number(style(node).fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5)) say("contrast", node, `${ratio.toFixed(2)} (${front} on ${back})`);
  }
  return found;
}

async function shown(source, scheme, width) {
  const frame = document.createElement("iframe");
  frame.style.cssText = `width: ${width}px; height: 900px; border: 0; color-scheme: ${scheme}`;
  frame.src = source;
  document.body.append(frame);
  await new Promise((done) => (frame.onload = done));
  const dark = frame.contentWindow.matchMedia("(prefers-color-scheme: dark)").matches;
  if (dark !== (scheme === "dark") || frame.contentWindow.innerWidth !== width) throw Error(`${scheme} at ${width} pixels is not what is shown`);
  return frame;
}

async function check(sources) {
  const out = [];
  try {
    for (const source of sources)
      for (const scheme of ["light", "dark"])
        for (const width of [1400, 400]) {
          const frame = await shown(source, scheme, width);
          out.push({ source, scheme, width, found: findings(frame) });
          frame.remove();
        }
  } catch (error) {
    out.push({ source: "", scheme: "", width: 0, found: [`failed: ${error.stack}`] });
  }
  const text = document.createElement("pre");
  text.textContent = JSON.stringify(out);
  document.body.replaceChildren(text);
}
