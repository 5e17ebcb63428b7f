// browse.mjs URL: a browser at the status page, told what to do a line of JSON at a time: [verb, …]. Answers a line
// each, {ok, value, ms} or {error}. It reads no other host: what the page asks elsewhere is refused and told by `foreign`.
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const { chromium } = createRequire(process.env.PLAYWRIGHT + '/')('playwright-core');
const url = process.argv[2];
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
const page = await browser.newPage({ viewport: { width: 1100, height: 800 } });
const foreign = [], wrong = [];
await page.route('**', route => {
  const asked = route.request().url();
  if (asked.startsWith(url) || asked.startsWith('data:')) return route.continue();
  foreign.push(asked);
  return route.abort();
});
page.on('pageerror', error => wrong.push(String(error)));
page.on('console', said => { if (said.type() === 'error') wrong.push(said.text()); });

const verbs = {
  open: hash => page.goto(url + hash),
  reload: () => page.reload(),
  // Until an element has this text in it.
  see: (selector, text, within) => page.locator(selector).filter({ hasText: text }).first().waitFor({ timeout: within }),
  // Until none has.
  miss: (selector, text, within) => page.locator(selector).filter({ hasText: text }).first().waitFor({ state: 'detached', timeout: within }),
  click: selector => page.locator(selector).click({ timeout: 5000 }),
  type: (selector, text) => page.locator(selector).fill(text, { timeout: 5000 }),
  // Goes on with the Tab key until an element has the focus, then presses a key on it.
  press: async (label, key) => {
    const at = () => page.evaluate(() => document.activeElement.getAttribute('aria-label') || document.activeElement.id);
    for (let tabs = 0; tabs < 30; tabs++) {
      if (await at() === label) return page.keyboard.press(key);
      await page.keyboard.press('Tab');
    }
    throw new Error(`30 tabs don't lead to ${label}`);
  },
  line: selector => page.locator(selector).first().getAttribute('points'),
  text: selector => page.locator(selector).first().innerText(),
  size: (width, height) => page.setViewportSize({ width, height }),
  scheme: colorScheme => page.emulateMedia({ colorScheme }),
  background: () => page.evaluate(() => getComputedStyle(document.body).backgroundColor),
  // How much wider than the window the page is.
  overflow: () => page.evaluate(() => document.documentElement.scrollWidth - innerWidth),
  picture: path => page.screenshot({ path, fullPage: true }).then(() => null),
  foreign: () => foreign,
  wrong: () => wrong,
};

for await (const line of createInterface({ input: process.stdin })) {
  const [verb, ...words] = JSON.parse(line), begun = Date.now();
  let answer;
  try {
    const value = await verbs[verb](...words);
    answer = { ok: true, value: value === undefined || typeof value === 'object' && !Array.isArray(value) ? null : value, ms: Date.now() - begun };
  } catch (error) { answer = { error: String(error) }; }
  console.log(JSON.stringify(answer));
}
await browser.close();
