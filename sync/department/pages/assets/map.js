// Draws the department's own map where a page has a place for one. Without it the page shows a coordinate plot.
"use strict";
(() => {
  // Leaflet writes these texts as HTML, and nothing else may be: a page has no other way to make markup.
  const known = new Set(["<svg/>", '<span aria-hidden="true">+</span>', '<span aria-hidden="true">&#x2212;</span>']);
  if (window.trustedTypes) window.trustedTypes.createPolicy("default", { createHTML: (text) => (known.has(text) ? text : null) });

  // Leaflet empties a tile with a data: image, which img-src 'self' refuses; a tile without an address is empty too.
  const empty = (tile) => { tile.onload = tile.onerror = null; tile.removeAttribute("src"); };
  const mend = () => L.TileLayer.include({
    _removeTile(key) { if (this._tiles[key]) { empty(this._tiles[key].el); L.GridLayer.prototype._removeTile.call(this, key); } },
    _abortLoading() {
      for (const [key, one] of Object.entries(this._tiles)) {
        if (one.coords.z === this._tileZoom || one.el.complete) continue;
        empty(one.el);
        one.el.remove();
        delete this._tiles[key];
      }
    },
  });

  const root = document.documentElement, dark = () => root.dataset.theme === "night" || (root.dataset.theme !== "day" && matchMedia("(prefers-color-scheme: dark)").matches);
  const color = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const words = (text) => { const made = document.createElement("span"); made.textContent = text; return made; };
  const base = (box) => {
    const facts = JSON.parse(box.dataset.map), [south, west, north, east] = facts.bounds, bounds = [[south, west], [north, east]];
    const map = L.map(box, { attributionControl: false, maxBounds: L.latLngBounds(bounds).pad(0.25), minZoom: facts.zooms[0], maxZoom: facts.zooms[1] + 4, zoomSnap: 0.5 });
    const zooms = { minZoom: facts.zooms[0], maxZoom: facts.zooms[1] + 4, bounds, noWrap: true };
    const layer = facts.kind === "raster"
      ? L.tileLayer("/map/{z}/{x}/{y}", { ...zooms, minNativeZoom: facts.zooms[0], maxNativeZoom: facts.zooms[1] })
      : protomapsL.leafletLayer({ ...zooms, url: "/map/{z}/{x}/{y}", maxDataZoom: facts.zooms[1], flavor: dark() ? "dark" : "light", lang: "en", attribution: "" });
    layer.addTo(map);
    map.fitBounds(bounds);
    map.zones = L.featureGroup(JSON.parse(box.dataset.zones || "[]").map(([text, corners]) => L.polygon(corners, { className: "zone", color: color("--stop"), weight: 2, dashArray: "6 4", fillOpacity: 0.12 }).bindTooltip(words(text)))).addTo(map);
    return map;
  };

  const showSpots = (box) => {
    const spots = JSON.parse(box.dataset.spots), map = base(box), marks = [];
    for (const [latitude, longitude, row, near] of spots) {
      const mark = L.circleMarker([latitude, longitude], { radius: 7, weight: 2, color: near ? color("--warn") : color("--surface"), fillColor: near ? color("--surface") : color("--go"), fillOpacity: near ? 0.4 : 0.9 });
      mark.bindTooltip(words(`Row ${row}${near ? ", near" : ""}`));
      mark.on("click", () => { location.hash = `row-${row - 1}`; });
      marks.push(mark.addTo(map));
    }
    if (marks.length) map.fitBounds(L.featureGroup(marks).getBounds().pad(0.2), { maxZoom: 16 });
  };

  const choosePlace = (box) => {
    const fields = ["latitude", "longitude", "radius_m"].map((name) => document.getElementById(name)), map = base(box);
    let circle = null;
    const draw = (move) => {
      const [latitude, longitude, radius] = fields.map((one) => Number.parseFloat(one.value));
      circle = circle?.remove() && null;
      if (!(Math.abs(latitude) <= 90 && Math.abs(longitude) <= 180 && radius > 0)) return;
      circle = L.circle([latitude, longitude], { radius, color: color("--go"), weight: 2, fillOpacity: 0.15 }).addTo(map);
      if (move) map.fitBounds(circle.getBounds().pad(0.3));
    };
    map.on("click", (event) => {
      [fields[0].value, fields[1].value] = [event.latlng.lat.toFixed(5), event.latlng.lng.toFixed(5)];
      if (!fields[2].value) fields[2].value = "500";
      draw(false);
    });
    fields.forEach((one) => one.addEventListener("change", () => draw(true)));
    box.closest("details")?.addEventListener("toggle", () => { map.invalidateSize(); draw(true); if (!circle) { const [south, west, north, east] = JSON.parse(box.dataset.map).bounds; map.fitBounds([[south, west], [north, east]]); } });
    draw(true);
  };

  document.addEventListener("DOMContentLoaded", () => {
    mend();
    for (const box of document.querySelectorAll("[data-map]")) {
      box.hidden = false;
      if (box.dataset.spots) showSpots(box); else if (box.dataset.shows) { const map = base(box); map.fitBounds(map.zones.getBounds().pad(0.3)); } else choosePlace(box);
      box.parentElement.classList.add("mapped");
    }
  });
})();
