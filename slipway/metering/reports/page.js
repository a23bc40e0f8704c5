"use strict";
// Draws the parts of a page (contents.py says what one holds) and filters them. Nothing here is of one report alone.
// Money is text with 12 places, and summed as whole numbers of 10^-12: a float is made of it for plots alone.
(() => {
  const { parts } = JSON.parse(document.getElementById("data").textContent);
  const root = document.getElementById("report");
  const ROWS = 25, LINES = 8, HOUR = 3600;
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const colour = (n) => css(`--c${n % 8}`);
  const make = (name, inside = "", attributes = {}) => {
    const element = Object.assign(document.createElement(name), attributes);
    element.append(...[inside].flat());
    return element;
  };

  // Exact decimals.
  const PLACES = 12, UNIT = 10n ** BigInt(PLACES);
  const exact = (text) => {
    const minus = text.startsWith("-"), [whole, rest = ""] = text.replace("-", "").split(".");
    const value = BigInt(whole) * UNIT + BigInt(rest.padEnd(PLACES, "0").slice(0, PLACES));
    return minus ? -value : value;
  };
  const written = (value) => {
    const size = value < 0n ? -value : value;
    return `${value < 0n ? "-" : ""}${size / UNIT}.${String(size % UNIT).padStart(PLACES, "0")}`;
  };
  const grouped = (value) => value.toLocaleString("en-US");
  const instant = (seconds) => new Date(seconds * 1000).toISOString().slice(0, 16).replace("T", " ");

  // Quantiles of merged counts of log buckets, as slipway's SQL has them.
  const BASE = 1.0202;
  const quantile = (counts, q) => {
    const buckets = [...counts.keys()].sort((a, b) => a - b);
    let total = 0, upTo = 0;
    for (const bucket of buckets) total += counts.get(bucket);
    for (const bucket of buckets) {
      upTo += counts.get(bucket);
      if (upTo >= Math.ceil(q * total)) return BASE ** (bucket - 0.5);
    }
    return null;
  };

  const chosen = { deployment: "", org: "", from: -Infinity, to: Infinity };
  const dimensions = ["deployment", "org"].filter((name) => parts.some((part) => part.names[name]));
  const hours = parts.flatMap((part) => [part.start, part.end]);
  const first = Math.min(...hours), last = Math.max(...hours);

  const kept = (part) => {
    const at = Object.fromEntries(part.columns.map((name, n) => [name, n]));
    const wanted = {};
    for (const name of dimensions) {
      if (chosen[name] !== "" && part.names[name]) wanted[name] = part.names[name].indexOf(chosen[name]);
    }
    return part.rows.filter((row) => row[at.hour] >= chosen.from && row[at.hour] < chosen.to
      && Object.entries(wanted).every(([name, index]) => row[at[name]] === index));
  };

  const groups = (rows, key) => {
    const found = new Map();
    for (const row of rows) {
      const name = key(row);
      found.has(name) ? found.get(name).push(row) : found.set(name, [row]);
    }
    return found;
  };

  // One plot: a line for each currency (money), for each measure, or for each deployment of one measure.
  const lines = (part, plot, rows, times) => {
    const at = Object.fromEntries(part.columns.map((name, n) => [name, n]));
    const byHour = (some, value) => {
      const sums = new Map();
      for (const row of some) if (value(row) !== null) sums.set(row[at.hour], (sums.get(row[at.hour]) ?? 0) + value(row));
      return times.map((time) => sums.get(time) ?? (plot.empty === 0 ? 0 : null));
    };
    if (plot.split === "currency") {
      return [...groups(rows.filter((row) => row[at[plot.measures[0]]] !== null), (row) => row[at.currency])]
        .sort().flatMap(([currency, some]) => plot.measures.map((measure, n) => [
          `${plot.labels[n]}${plot.labels[n] ? " " : ""}${part.names.currency[currency] ?? ""}`,
          byHour(some, (row) => row[at[measure]] === null ? null : Number(row[at[measure]]))]));
    }
    if (plot.split === "deployment") {
      const of = [...groups(rows, (row) => row[at.deployment])]
        .map(([name, some]) => [name, some, some.reduce((sum, row) => sum + row[at.requests], 0)])
        .sort((a, b) => b[2] - a[2]);
      plot.left = of.length - LINES;
      return of.slice(0, LINES).flatMap(([name, some]) => plot.measures.map((measure, n) => [
        of.length === 1 ? plot.labels[n] : `${part.names.deployment[name]} ${plot.labels[n]}`,
        byHour(some, (row) => row[at[measure]])]));
    }
    return plot.measures.map((measure, n) => [plot.labels[n], byHour(rows, (row) => row[at[measure]])]);
  };

  const drawn = [];
  const draw = (part, plot, place, rows) => {
    const from = Math.max(part.start, chosen.from), to = Math.min(part.end, chosen.to), times = [];
    for (let time = from; time < to; time += part.step) times.push(time);
    const series = lines(part, plot, rows, times);
    const data = [times, ...series.map(([, values]) => values)];
    const many = plot.split === "deployment" ? plot.measures.length : 1;
    const clock = (time) => instant(time).slice(11) === "00:00" ? instant(time).slice(5, 10) : instant(time).slice(11);
    const axis = { stroke: css("--ink"), grid: { stroke: css("--line"), width: 1 }, ticks: { stroke: css("--line") } };
    const options = {
      width: Math.max(place.clientWidth, 200), height: 220, tzDate: (time) => uPlot.tzDate(new Date(time * 1000), "Etc/UTC"),
      scales: { y: { range: (_, low, high) => [Math.min(0, low ?? 0), high > 0 ? high * 1.05 : 1] } },
      axes: [{ ...axis, size: 32, values: (_, ticks) => ticks.map(clock) }, { ...axis, size: 62, values: (_, ticks) => ticks.map((tick) => Intl.NumberFormat("en-US",
        { notation: "compact", maximumSignificantDigits: 4 }).format(tick)) }],
      series: [{ label: "UTC", value: (_, time) => time === null ? "" : instant(time) },
        ...series.map(([label], n) => ({ label, stroke: colour(Math.floor(n / many)), width: 1.5,
          dash: many > 1 && n % many === 0 ? [5, 4] : undefined, points: { size: 4 }, spanGaps: false,
          value: (_, value) => value === null ? "-" : Intl.NumberFormat("en-US", { maximumSignificantDigits: 6 }).format(value) }))],
    };
    place.replaceChildren(make("h3", `${plot.title}${plot.unit ? `, ${plot.unit}` : ""}`));
    if (plot.left > 0) place.append(make("p", `The ${LINES} busiest deployments; ${plot.left} more are in the tables.`, { className: "note" }));
    drawn.push(new uPlot(options, data, place));
  };

  // One table: rows of the part summed by what it groups by, or each row as it is.
  const cells = (part, table, rows) => {
    const at = Object.fromEntries(part.columns.map((name, n) => [name, n]));
    const name = (row, dimension) => dimension === "hour" ? instant(row[at.hour])
      : (part.names[dimension][row[at[dimension]]] || "-");
    const sum = (some, column) => {
      const column_at = at[column];
      if (part.money.includes(column)) {
        const there = some.filter((row) => row[column_at] !== null);
        return there.length ? written(there.reduce((total, row) => total + exact(row[column_at]), 0n)) : "-";
      }
      return some.reduce((total, row) => total + (row[column_at] ?? 0), 0);
    };
    const merged = (some, metric, q) => {
      const counts = new Map(), places = new Set(some.map((row) => row[at.histogram]));
      for (const place of places) {
        const flat = part.histograms[place]?.[metric] ?? [];
        for (let n = 0; n < flat.length; n += 2) counts.set(flat[n], (counts.get(flat[n]) ?? 0) + flat[n + 1]);
      }
      return quantile(counts, q);
    };
    const shown = (value) => value === null || value === undefined ? "-"
      : typeof value === "number" && !Number.isInteger(value) ? value.toFixed(1) : typeof value === "number" ? grouped(value) : value;
    const key = (row) => table.group.map((dimension) => row[at[dimension]]).join("|");
    const told = [...groups(rows, key).values()];
    if (!table.group.includes("hour")) { // the busiest first
      const requests = (some) => some.reduce((total, row) => total + row[at.requests], 0);
      told.sort((a, b) => requests(b) - requests(a));
    }
    return told.map((some) => [
      ...table.group.map((dimension) => name(some[0], dimension)),
      ...table.measures.map((measure) => shown(
        measure.quantile ? merged(some, measure.metric, measure.quantile)
          : measure.as_is ? some[0][at[measure.column]] : sum(some, measure.column))),
    ]);
  };

  const show = (part, table, place, rows) => {
    const all = cells(part, table, rows), heads = [...table.group, ...table.measures.map((measure) => measure.label)];
    const pages = Math.max(1, Math.ceil(all.length / ROWS));
    let page = 0;
    const turn = () => {
      const body = all.slice(page * ROWS, (page + 1) * ROWS).map((row) => make("tr",
        row.map((cell, n) => make("td", cell, { className: n < table.group.length ? "" : "n" }))));
      const head = make("tr", heads.map((text, n) => make("th", text, { className: n < table.group.length ? "" : "n" })));
      const before = make("button", "previous", { disabled: page === 0, onclick: () => { page -= 1; turn(); } });
      const after = make("button", "next", { disabled: page === pages - 1, onclick: () => { page += 1; turn(); } });
      place.replaceChildren(make("h3", table.title),
        make("div", make("table", [make("thead", head), make("tbody", body)], { className: "data" }), { className: "wide" }),
        make("div", pages > 1 ? [before, `page ${page + 1} of ${pages}, ${grouped(all.length)} rows`, after]
          : [`${grouped(all.length)} ${all.length === 1 ? "row" : "rows"}`], { className: "pager" }));
    };
    turn();
  };

  const places = parts.map((part) => ({
    plots: part.plots.map(() => make("div", "", { className: "plot" })),
    tables: part.tables.map(() => make("section")),
  }));

  const redraw = () => {
    while (drawn.length) drawn.pop().destroy();
    parts.forEach((part, n) => {
      const rows = kept(part);
      part.plots.forEach((plot, m) => draw(part, plot, places[n].plots[m], rows));
      part.tables.forEach((table, m) => show(part, table, places[n].tables[m], rows));
    });
  };

  const choice = (dimension) => {
    const names = [...new Set(parts.flatMap((part) => part.names[dimension] ?? []))].filter((name) => name !== "").sort();
    const select = make("select", [make("option", "all", { value: "" }), ...names.map((name) => make("option", name, { value: name }))],
      { id: dimension, onchange: () => { chosen[dimension] = select.value; redraw(); } });
    return make("label", [dimension === "org" ? "organisation" : dimension, select]);
  };
  const moment = (id, seconds, label) => {
    const text = (time) => new Date(time * 1000).toISOString().slice(0, 16);
    const input = make("input", "", { id, type: "datetime-local", value: text(seconds), min: text(first), max: text(last), step: HOUR });
    input.onchange = () => {
      const time = Date.parse(`${input.value}:00Z`) / 1000;
      chosen[id] = Number.isNaN(time) ? (id === "from" ? -Infinity : Infinity) : Math.floor(time / HOUR) * HOUR;
      redraw();
    };
    return make("label", [label, input]);
  };

  if (parts.length) {
    root.append(make("div", [...dimensions.map(choice), moment("from", first, "from, UTC"), moment("to", last, "until, UTC")], { className: "filters" }));
    parts.forEach((part, n) => {
      root.append(make("h2", part.title), ...part.notes.map((note) => make("p", note, { className: "note" })),
        make("div", places[n].plots, { className: "plots" }), ...places[n].tables);
    });
    redraw();
    let width = root.clientWidth;
    new ResizeObserver(() => { if (root.clientWidth !== width) { width = root.clientWidth; redraw(); } }).observe(root);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  }
  document.documentElement.dataset.drawn = String(drawn.length);
})();
