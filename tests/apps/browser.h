// Opens a page in headless Chromium and reads what it shows.
#pragma once

#include <fmt/core.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/apps/program.h"

namespace assay::testing {

/// "" where there is none.
inline std::string find_chromium() {
  for (const std::string name : {"chromium", "chromium-browser", "google-chrome"}) {
    std::string path = std::getenv("PATH") == nullptr ? "" : std::getenv("PATH");
    for (size_t begin = 0; begin < path.size();) {
      const size_t end = std::min(path.find(':', begin), path.size());
      const fs::path file = fs::path(path.substr(begin, end - begin)) / name;
      if (access(file.c_str(), X_OK) == 0) return file.string();
      begin = end + 1;
    }
  }
  return "";
}

/// A script that runs in the loaded page; the fields of its answer say what it looks at.
inline constexpr const char* kProbe = R"(<script>
const violations = [];
document.addEventListener('securitypolicyviolation', e => violations.push(e.blockedURI));
addEventListener('load', () => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const name = e => e.tagName + ' ' + (e.textContent || e.alt || '').trim().slice(0, 60);
  const luminance = colour => {
    const [r, g, b] = colour.match(/[\d.]+/g).slice(0, 3).map(v => {
      v /= 255;
      return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const contrast = (a, b) => {
    const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x);
    return (high + 0.05) / (low + 0.05); };
  const page = getComputedStyle(document.body).backgroundColor;
  const width = document.documentElement.clientWidth;

  const beyond = all('body *').filter(e => !e.closest('.scroll') && !e.closest('svg')).filter(e => {
    const r = e.getBoundingClientRect();
    return r.width > 0 && (r.right > width + 1 || r.left < -1); });

  const charts = all('svg.chart'), outside = [], overlapping = [], hollow = [], faint = [];
  for (const chart of charts) {
    const frame = chart.getBoundingClientRect(), texts = all('text', chart);
    const boxes = texts.map(t => t.getBoundingClientRect());
    const where = chart.getAttribute('aria-label') + ': ';
    boxes.forEach((b, i) => {
      if (b.left < frame.left - 1 || b.right > frame.right + 1 || b.top < frame.top - 1 ||
          b.bottom > frame.bottom + 1) outside.push(where + texts[i].textContent);
      for (let j = 0; j < i; ++j) {
        const o = boxes[j];
        const w = Math.min(b.right, o.right) - Math.max(b.left, o.left);
        const h = Math.min(b.bottom, o.bottom) - Math.max(b.top, o.top);
        if (w > 1 && h > 4) overlapping.push(where + texts[j].textContent + ' / ' + texts[i].textContent);
      }});
    const marks = all('polyline, polygon, circle', chart);
    if (marks.length === 0 || marks.some(m => m.getAttribute('points') === '')) hollow.push(where);
    const style = getComputedStyle(chart).backgroundColor;
    for (const t of texts)
      if (contrast(getComputedStyle(t).fill, style) < 4.5) faint.push(where + t.textContent);
  }
  for (const e of all('p, td, th, li, figcaption, a, small, h2, h3')) {
    const panel = e.closest('nav, .note');
    const under = panel ? getComputedStyle(panel).backgroundColor : page;
    if (contrast(getComputedStyle(e).color, under) < 4.5) faint.push(name(e));
  }
  const ids = all('[id]').map(e => e.id);
  parent.postMessage({
    width, dark: matchMedia('(prefers-color-scheme: dark)').matches, page,
    scrollWidth: document.documentElement.scrollWidth,
    violations, requests: performance.getEntriesByType('resource').map(e => e.name),
    scripts: all('script').length - 1,
    beyond: beyond.map(name), outside, overlapping, hollow, faint,
    charts: charts.map(c => c.getAttribute('aria-label')),
    images: all('img').map(i => i.alt),
    broken: all('img').filter(i => !i.complete || i.naturalWidth === 0).map(name),
    tiny: all('img').filter(i => i.getBoundingClientRect().width < 40).map(name),
    large: all('img').filter(i => i.getBoundingClientRect().width > 1.7 * i.naturalWidth + 120).map(name),
    emptyCells: all('td, th').filter(c => c.textContent.trim() === '').length,
    notNumbers: (document.body.innerText.match(/.{0,30}\b(nan|inf|infinity|undefined|null)\b.{0,30}/gi) || []),
    oddAttributes: all('svg *').filter(e => [...e.attributes].some(a => /nan|inf/i.test(a.value))).map(name),
    headings: all('h1, h2, h3').map(h => h.textContent.trim()),
    deadLinks: all('a').map(a => a.getAttribute('href')).filter(h => !ids.includes(h.slice(1))),
    twice: ids.filter((id, i) => ids.indexOf(id) !== i),
  }, '*');
});
</script>)";

/// The probe's answer for `page` at this width, light or dark.
inline nlohmann::json look_at(const std::string& chromium, const std::string& page, int width,
                              bool dark) {
  const TemporaryFolder folder;
  // The page's policy, with an exception for the probe; all other violations are reported.
  std::string probed = page;
  const std::string policy = "default-src 'none';";
  REQUIRE(contains(probed, policy));
  probed.insert(probed.find(policy) + policy.size(), " script-src 'unsafe-inline';");
  probed.insert(probed.find("<meta name=\"viewport\""), kProbe);
  put(folder / "probed.html", probed);
  // A window cannot be as narrow as a phone; a frame can.
  put(folder / "frame.html",
      fmt::format(
          "<!doctype html><body style='margin:0'><iframe src='probed.html' "
          "style='border:0;width:{}px;height:900px'></iframe><pre "
          "id='answer'></pre><script>addEventListener('message', e => "
          "document.getElementById('answer').textContent = JSON.stringify(e.data))</script>",
          width));
  Running browser(Running::Program{
      {chromium, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
       "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
       "--user-data-dir=" + (folder / "profile").string(), "--window-size=1400,1000",
       std::string("--blink-settings=preferredColorScheme=") + (dark ? "0" : "1"),
       "--virtual-time-budget=30000", "--dump-dom", "file://" + (folder / "frame.html").string()}});
  const Outcome outcome = browser.wait();
  const std::string open = "<pre id=\"answer\">";
  const size_t begin = outcome.out.find(open);
  CAPTURE(outcome.out.substr(0, 400));
  CAPTURE(outcome.error.substr(0, 2000));
  REQUIRE(begin != std::string::npos);
  std::string answer = outcome.out.substr(begin + open.size(),
                                          outcome.out.find("</pre>", begin) - begin - open.size());
  for (const auto& [entity, character] : {std::pair("&lt;", "<"), std::pair("&gt;", ">"),
                                          std::pair("&nbsp;", " "), std::pair("&amp;", "&")})
    for (size_t at = 0; (at = answer.find(entity, at)) != std::string::npos; ++at)
      answer.replace(at, std::string(entity).size(), character);
  const nlohmann::json seen = nlohmann::json::parse(answer, nullptr, false);
  REQUIRE(seen.is_object());
  return seen;
}

}  // namespace assay::testing
