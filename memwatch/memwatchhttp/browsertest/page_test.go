package browsertest

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

func TestPage(t *testing.T) {
	chromium := browser(t)
	t.Run("Looks", func(t *testing.T) {
		s := start(t, "heap", "")
		p := open(t, chromium, s.addr, nil)
		p.do(chromedp.Navigate(s.url()))
		p.within(`document.getElementById('verdict').dataset.verdict === 'leak'`)
		time.Sleep(4 * time.Second)
		for _, scheme := range []string{"light", "dark"} {
			p.media("prefers-color-scheme", scheme)
			p.do(chromedp.EmulateViewport(1200, 900))
			p.shoot(scheme)
			p.do(chromedp.EmulateViewport(375, 800, chromedp.EmulateMobile, chromedp.EmulateScale(2)))
			p.shoot(scheme + "-phone")
		}
	})
}

// media emulates a media feature.
func (p *tab) media(name, value string) {
	p.t.Helper()
	_, err := chromedp.Call(p.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: name, Value: value}},
	})
	require.NoError(p.t, err)
}

// shoot keeps a screenshot of the whole page, to be looked at.
func (p *tab) shoot(name string) {
	p.t.Helper()
	p.do(chromedp.Sleep(300 * time.Millisecond)) // charts follow the viewport
	png, err := chromedp.Run(p.ctx, chromedp.FullScreenshot(100))
	require.NoError(p.t, err)
	require.NoError(p.t, os.WriteFile(filepath.Join(p.t.ArtifactDir(), name+".png"), png, 0o600))
}
