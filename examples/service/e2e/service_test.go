package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"
)

// isOn is the expression that a switch is on, or off.
func isOn(id string, on bool) string {
	return fmt.Sprintf(`document.getElementById(%q).getAttribute("aria-checked") === "%v"`, id, on)
}

// busy starts a service with load and opens its page.
func busy(t *testing.T, args ...string) (*service, *page) {
	t.Helper()
	s := start(t, append([]string{"-load", "-rps", "60"}, args...)...)
	p := newPage(t, s.url, desk).open()
	p.tolerate() // what is refused is refused to the page, too
	p.eventually("there is load", number("http-ok")+" > 5")
	return s, p
}

// took notes how long an effect took; it is not asserted.
func took(t *testing.T, what string, d time.Duration) {
	t.Logf("%s: %v", what, d.Round(time.Millisecond))
}

func TestAnUpstreamThatFailsOpensTheBreakerUntilItIsBack(t *testing.T) {
	_, p := busy(t)
	p.eventually("the breaker is closed", textIs("breaker-state", "closed"))
	p.click("fault-fail")
	took(t, "breaker open", p.within(patience, "the breaker opens", textIs("breaker-state", "open")))
	p.eventually("the switch is on", isOn("fault-fail", true))
	p.eventually("the card is marked", `document.getElementById("card-breaker").hasAttribute("data-watch")`)
	p.eventually("it says when it probes", textIs("breaker-label", "Next probe in")+" && "+textHas("breaker-value", "s"))
	p.eventually("the switch says what it does", `document.querySelector("#row-fail .effect").textContent.startsWith("Breaker ")`)
	p.eventually("calls are refused at once", number("breaker-refused")+" > 0")
	p.eventually("retries have stopped", textHas("retry-budget-words", "no retries"))
	p.eventually("the log tells", textHas("audit", "breaker")+" && "+textHas("audit", "fail is on"))
	p.eventually("it is said aloud", `document.getElementById("announce").textContent !== ""`)

	p.click("fault-fail")
	took(t, "breaker closed", p.within(patience, "the breaker closes", textIs("breaker-state", "closed")))
	p.eventually("the mark is gone", `!document.getElementById("card-breaker").hasAttribute("data-watch")`)
	require.GreaterOrEqual(t, eval[float64](p, number("breaker-opened")), 1.0)
}

func TestAnUpstreamThatHangsFillsTheBulkheadAlone(t *testing.T) {
	s, p := busy(t)
	p.click("fault-hang")
	took(t, "bulkhead full", p.within(patience, "all slots are taken", textIs("bulkhead-badge", "full")+` && document.querySelectorAll('#bulkhead-slots [data-s="use"]').length >= 8`))
	p.eventually("callers wait", `document.querySelectorAll('#bulkhead-queue [data-s="wait"]').length > 0`)
	// What does not call out goes on.
	require.Equal(t, http.StatusOK, status(t, s.url+"/healthz"))
	p.eventually("the rest is served", number("http-ok")+" > 5")
	p.eventually("the breaker opens", textIs("breaker-state", "open"))
	p.click("heal")
	p.eventually("the switch is off", isOn("fault-hang", false))
	p.eventually("the breaker closes", textIs("breaker-state", "closed"))
	p.eventually("there is room", textIs("bulkhead-badge", "has room"))
}

func TestAFloodIsRefusedToOneUserAlone(t *testing.T) {
	_, p := busy(t)
	p.click("fault-flood")
	took(t, "flood refused", p.within(patience, "it is refused", number("ratelimit-refusing")+" > 0"))
	p.eventually("the user is named", `[...document.querySelectorAll("#ratelimit-users li")].some((li) => li.textContent.includes("flood@example.com") && li.textContent.includes("refused"))`)
	p.eventually("the others are not refused", `![...document.querySelectorAll("#ratelimit-users li")].some((li) => !li.textContent.includes("flood@") && li.textContent.includes("refused"))`)
	p.eventually("the answers are drawn as refused", number("http-refused")+" > 0")
	p.click("fault-flood")
	p.eventually("it ends", textIs("ratelimit-badge", "all within limits"))
}

func TestALeakIsNamed(t *testing.T) {
	_, p := busy(t)
	p.click("fault-leak")
	p.within(2*patience, "the line is named", textHas("memory-sites", "leak.go:"))
	took(t, "verdict", p.within(3*patience, "there is a verdict", `["leak", "suspect"].includes(document.getElementById("memory-verdict").textContent)`))
	p.eventually("the line is marked as guilty", `document.getElementById("card-memory").dataset.guilty === "true"`)
	p.eventually("the switch names it", `document.querySelector("#row-leak .effect").textContent.includes("leak.go:")`)
	p.eventually("the log names it", textHas("audit", "leak.go:"))
	p.click("fault-leak")
	p.eventually("the switch is off", isOn("fault-leak", false))
}

func TestWithoutItsDatabaseItRedirectsFromTheCache(t *testing.T) {
	s, p := busy(t)
	slug := shorten(p, s.url+"/healthz", "")
	require.Equal(t, http.StatusFound, status(t, s.url+"/l/"+slug))
	p.click("fault-database")
	took(t, "no connection", p.within(patience, "the pool is empty", textIs("pool-badge", "no connection")))
	p.eventually("the last dial is told of", textHas("pool-error", "Last dial:")+` && document.getElementById("pool-error").dataset.level === "bad"`)
	require.Equal(t, http.StatusFound, status(t, s.url+"/l/"+slug))
	p.eventually("redirects go on", number("http-ok")+" > 0")
	p.click("fault-database")
	p.eventually("connections are back", textIs("pool-badge", "connected"))
	p.eventually("dials succeed", textIs("pool-error", "Dials succeed."))
}

func TestAWorkerThatIsKilledIsReplaced(t *testing.T) {
	_, p := busy(t, "-workers", "3")
	ready := `document.getElementById("workers-badge").textContent === "3 of 3 ready"`
	p.eventually("all are ready", ready)
	for n := 1; n <= 2; n++ {
		p.click("fault-kill")
		took(t, "restart counted", p.within(patience, "the restart is counted", number("workers-restarts")+fmt.Sprintf(" >= %d", n)))
		p.eventually("all are ready again", ready)
	}
	p.eventually("the log tells", textHas("audit", "worker"))
	p.eventually("the page is live", `document.documentElement.dataset.connection === "live"`)
	// Switches work in all processes.
	p.click("fault-fail")
	p.eventually("the breaker opens", textIs("breaker-state", "open"))
	p.click("fault-fail")
	p.eventually("the breaker closes", textIs("breaker-state", "closed"))
}

func TestOneProcessHasNothingToKill(t *testing.T) {
	s := start(t)
	p := newPage(t, s.url, desk).open()
	p.eventually("it says why", textHas("say-kill", "-workers 2")+` && document.getElementById("fault-kill").getAttribute("aria-disabled") === "true"`)
	p.click("fault-kill")
	p.eventually("nobody calls, and it says so", `!document.getElementById("load-hint").hidden`)
	p.click("load")
	took(t, "load", p.within(patience, "load arrives", number("http-ok")+" > 5"))
	p.eventually("the hint is gone", `document.getElementById("load-hint").hidden`)
	p.click("load")
	p.eventually("load ends", number("http-ok")+" === 0")
}

// status is that of a GET, redirects not followed.
func status(t *testing.T, url string) int {
	t.Helper()
	c := http.Client{Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := c.Get(url)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	return res.StatusCode
}

// shorten makes a link by hand and returns its short name.
func shorten(p *page, url, slug string) string {
	p.t.Helper()
	p.write("url", url)
	if slug != "" {
		p.write("slug", slug)
	}
	p.click("shorten")
	p.eventually("there is a link", textHas("links-say", "leads there now"))
	return eval[string](p, `document.querySelector("#links a").getAttribute("href").slice(3)`)
}

func TestPeopleRegisterShortenAndFollow(t *testing.T) {
	s := start(t)
	p := newPage(t, s.url, desk).open()
	p.tolerate() // a wrong password is a 401

	p.write("email", "ada@example.com")
	p.write("password", "difference engine")
	p.click("login")
	p.eventually("there is no such account", textHas("session-say", "wrong"))
	p.click("register")
	p.eventually("she is logged in", textIs("session-email", "ada@example.com")+` && !document.getElementById("session").hidden`)
	p.eventually("the token is shown in its parts", `["header", "claims", "signature"].every((n) => document.getElementById("token-" + n).textContent.length > 8)`)
	p.eventually("and how long it is good for", textHas("token-left", "good for 4 min"))
	before := p.text("token-signature")
	p.click("refresh")
	p.eventually("there is another one", "!("+textIs("token-signature", before)+")")
	p.eventually("it is counted", number("jwt-refreshed")+" >= 1")

	require.Equal(t, "engine", shorten(p, s.url+"/healthz", "engine"))
	p.eventually("there is a QR code", `!document.getElementById("qr").hidden && document.getElementById("qr").naturalWidth > 50`)
	p.eventually("with a text for who can't see it", `document.getElementById("qr").alt.includes("/l/engine")`)
	require.Equal(t, http.StatusFound, status(t, s.url+"/l/engine"))
	require.NoError(t, chromedp.Do(p.ctx, chromedp.Click(chromedp.CSS(`#links a`))))
	p.eventually("followed links are counted", `parseInt(document.querySelector("#links .hits").textContent) >= 1`)
	require.NoError(t, chromedp.Do(p.ctx, chromedp.Click(chromedp.CSS(`#links [data-action="Title"]`))))
	p.eventually("the upstream's title is shown", textHas("links-say", "after one attempt"))
	p.write("url", s.url)
	p.write("slug", "engine")
	p.click("shorten")
	p.eventually("a name is given once", `document.getElementById("links-say").dataset.level === "bad"`)
	require.NoError(t, chromedp.Do(p.ctx, chromedp.Click(chromedp.CSS(`#links [data-action="Delete"]`))))
	p.eventually("it is gone", textHas("links-say", "is gone"))
	require.Equal(t, http.StatusNotFound, status(t, s.url+"/l/engine"))

	p.click("logout")
	p.eventually("she is logged out", `!document.getElementById("session-form").hidden`)
	p.click("login")
	p.eventually("she is back", textIs("session-say", "Logged in."))
}

func TestAnImportShowsItsProgress(t *testing.T) {
	s := start(t)
	p := newPage(t, s.url, desk).open()
	eval[bool](p, `window.parts = []; new MutationObserver(() => parts.push(+document.getElementById("import-meter").getAttribute("aria-valuenow"))).observe(document.getElementById("import-meter"), {attributes: true, attributeFilter: ["aria-valuenow"]}); true`)
	p.click("import-generate")
	took(t, "10,000 rows", p.within(3*patience, "they are in", textHas("import-say", "links in")))
	require.Contains(t, p.text("import-say"), "9"+"\u2009"+"990 links")
	require.Contains(t, p.text("import-say"), "10 refused, first line")
	p.eventually("the bar is full", `document.getElementById("import-meter").getAttribute("aria-valuenow") === "100"`)
	require.True(t, eval[bool](p, `parts.some((v) => v > 0 && v < 100) && parts.every((v, i) => i === 0 || v >= parts[i - 1] || v === 0)`), "%v", eval[[]float64](p, `parts`))
	p.eventually("rows are counted", `parseFloat(document.getElementById("stream-items").textContent) > 0`)
	p.eventually("the log tells", textHas("audit", "import.done"))

	file := filepath.Join(t.TempDir(), "mine.csv")
	require.NoError(t, os.WriteFile(file, []byte("url,slug\nhttps://example.com/a,mine-a\nnot an address,mine-b\n"), 0o600))
	require.NoError(t, chromedp.Do(p.ctx, chromedp.SetUploadFiles(chromedp.CSS("#import-file"), []string{file})))
	p.eventually("one of two is in", textHas("import-say", "1 links in")+" && "+textHas("import-say", "1 refused"))
	require.Equal(t, http.StatusFound, status(t, s.url+"/l/mine-a"))
}

func TestThePageComesBackAfterAKill(t *testing.T) {
	s, p := busy(t)
	p.click("guest")
	p.eventually("there is a session", `!document.getElementById("session").hidden`)
	slug := shorten(p, s.url+"/healthz", "")
	s.end(syscall.SIGKILL)
	took(t, "loss seen", p.within(patience, "the loss is shown", textHas("connection", "lost")+` && document.documentElement.dataset.connection === "lost"`))
	s.again()
	took(t, "back", p.within(patience, "the page is live", `document.documentElement.dataset.connection === "live"`))
	p.eventually("it is another process", textHas("fact-process", fmt.Sprint(s.cmd.Process.Pid)))
	p.eventually("nothing is reckoned from the counters of before", `document.getElementById("http-rps").textContent !== "–"`)
	p.eventually("the links are there", textHas("links", "/l/"+slug))
	require.False(t, eval[bool](p, `/NaN|undefined/.test(document.body.innerText)`))
}

func TestEverythingIsDoneByKeyboard(t *testing.T) {
	s := start(t)
	p := newPage(t, s.url, desk).open()
	p.press(kb.Tab)
	require.Equal(t, "Skip to the panels", eval[string](p, `document.activeElement.textContent`))
	p.tabTo("load")
	p.press(" ")
	p.eventually("load is on", isOn("load", true))
	p.tabTo("load-rps")
	before := eval[float64](p, `+document.getElementById("load-rps").value`)
	p.press(kb.ArrowRight)
	require.Greater(t, eval[float64](p, `+document.getElementById("load-rps").value`), before)
	p.tabTo("fault-fail")
	require.True(t, eval[bool](p, `document.activeElement.matches(":focus-visible") && getComputedStyle(document.activeElement).outlineStyle !== "none"`), "the focus is seen")
	p.press(kb.Enter)
	p.eventually("the breaker opens", textIs("breaker-state", "open"))
	require.Equal(t, "fault-fail", eval[string](p, `document.activeElement.id`), "the focus stays")
	p.press(" ")
	p.eventually("the breaker closes", textIs("breaker-state", "closed"))
	p.tabTo("guest")
	p.press(kb.Enter)
	p.eventually("there is a session", `!document.getElementById("session").hidden`)
	p.tabTo("url")
	p.press(s.url + "/healthz")
	p.press(kb.Enter)
	p.eventually("there is a link", textHas("links-say", "leads there now"))
}

func TestAPhoneDoesAllOfItInTheDark(t *testing.T) {
	s := start(t, "-load", "-rps", "40")
	p := newPage(t, s.url, screen{390, 844, 2, true, dark}).open()
	p.eventually("there is load", number("http-ok")+" > 5")
	p.click("fault-fail")
	p.eventually("the breaker opens", textIs("breaker-state", "open"))
	p.click("fault-fail")
	p.click("shorten") // nothing is filled in: the browser asks for it
	p.write("url", s.url+"/healthz")
	p.click("shorten")
	p.eventually("there is a link", textHas("links-say", "leads there now"))
	require.LessOrEqual(t, eval[float64](p, `document.documentElement.scrollWidth`), 390.0)
	require.Empty(t, eval[[]string](p, poor))
}

func TestTheServiceIsNotToBeSwitchedFromOtherSites(t *testing.T) {
	s := start(t)
	req, err := http.NewRequest(http.MethodPost, s.url+"/break/fail", strings.NewReader(`{"on":true}`))
	require.NoError(t, err)
	req.Header.Set("Origin", "https://elsewhere.example")
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	require.Equal(t, http.StatusForbidden, res.StatusCode)
	var answer struct{ Error string }
	require.NoError(t, json.NewDecoder(res.Body).Decode(&answer))
	require.NotEmpty(t, answer.Error)
}
