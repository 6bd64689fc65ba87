package e2e

import (
	"bytes"
	"cmp"
	"image"
	"image/color"
	"image/png"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

const (
	picture      = "../web/page.png"
	pictureWidth = 1200
	pictureBytes = 150_000
)

// TestScreenshot takes the picture for the README anew when asked to:
//
//	go test ./e2e -run Screenshot -update
//
// It takes a minute, since that is what the plots show. Otherwise it looks
// whether the picture is fit for a README.
func TestScreenshot(t *testing.T) {
	if *update {
		small, err := reduce(portrait(t))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(picture, small, 0o644))
	}
	data, err := os.ReadFile(picture)
	require.NoError(t, err)
	require.LessOrEqual(t, len(data), pictureBytes)
	cfg, err := png.DecodeConfig(bytes.NewReader(data))
	require.NoError(t, err)
	require.Equal(t, pictureWidth, cfg.Width)
}

// portrait is a picture of the page in trouble: a flood goes on, an upstream
// that failed for a while hangs now.
func portrait(t *testing.T) []byte {
	s := start(t, "-load", "-rps", "120")
	p := newPage(t, s.url, screen{width: pictureWidth, height: 1010, scale: 1}).open()
	p.tolerate()
	require.NoError(t, chromedp.Do(p.ctx, step(emulation.SetScrollbarsHidden, emulation.SetScrollbarsHiddenParams{Hidden: true})))
	up := func(seconds string) {
		t.Helper()
		p.within(time.Minute, "time passes", `performance.now() > `+seconds+`000`)
	}
	up("33")
	p.click("fault-fail")
	p.eventually("the breaker opens", textIs("breaker-state", "open"))
	up("45")
	p.click("fault-fail")
	p.eventually("the breaker closes", textIs("breaker-state", "closed"))
	p.click("fault-flood")
	up("62")
	p.click("fault-hang")
	p.eventually("the bulkhead is full", textIs("bulkhead-badge", "full")+` && document.querySelectorAll('#bulkhead-queue [data-s="wait"]').length > 2`)
	eval[bool](p, `scrollTo(0, 0); document.activeElement.blur(); true`)
	return p.picture(false)
}

// reduce writes a PNG with at most 256 colours: those of it that are most often
// used and not nearly alike.
func reduce(data []byte) ([]byte, error) {
	src, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	bounds := src.Bounds()
	counts := make(map[color.RGBA]int)
	at := func(x, y int) color.RGBA { return color.RGBAModel.Convert(src.At(x, y)).(color.RGBA) }
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			counts[at(x, y)]++
		}
	}
	colours := make([]color.RGBA, 0, len(counts))
	for c := range counts {
		colours = append(colours, c)
	}
	slices.SortFunc(colours, func(a, b color.RGBA) int {
		return cmp.Or(counts[b]-counts[a], cmp.Compare(weight(a), weight(b)))
	})
	// What covers much keeps its colour: grounds differ by little.
	var palette color.Palette
	for _, c := range colours[:min(48, len(colours))] {
		palette = append(palette, c)
	}
	for apart := 24; len(palette) < 256 && apart >= 0; apart -= 6 {
		for _, c := range colours {
			if len(palette) < 256 && distance(palette[palette.Index(c)].(color.RGBA), c) > apart {
				palette = append(palette, c)
			}
		}
	}
	nearest := make(map[color.RGBA]uint8, len(counts))
	for c := range counts {
		nearest[c] = uint8(palette.Index(c))
	}
	out := image.NewPaletted(bounds, palette)
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			out.SetColorIndex(x, y, nearest[at(x, y)])
		}
	}
	var buf bytes.Buffer
	err = (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&buf, out)
	return buf.Bytes(), err
}

func weight(c color.RGBA) int { return int(c.R)<<16 | int(c.G)<<8 | int(c.B) }

// distance is the largest difference of a part of two colours.
func distance(a, b color.RGBA) int {
	d := func(x, y uint8) int { return max(int(x)-int(y), int(y)-int(x)) }
	return max(d(a.R, b.R), d(a.G, b.G), d(a.B, b.B))
}
