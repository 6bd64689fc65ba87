package ratelimithttp

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheShortWayReadsWhatConnectionsComeFrom(t *testing.T) {
	for _, text := range []string{"192.0.2.1:80", "0.0.0.0:0", "255.255.255.255:65535", "1.2.3.4:1"} {
		address, ok := parse4(text)
		require.True(t, ok, text)
		require.Equal(t, netip.MustParseAddrPort(text).Addr(), address)
	}
	for _, text := range []string{
		"", ":", "1", "1.2.3.4", "1.2.3.4:", "1.2.3:4", "1.2.3.4.5:6", "1.2.3.4:65536", "256.2.3.4:5", "01.2.3.4:5", "1.2.3.00:5",
		"1..3.4:5", "1.2.3.4:5 ", " 1.2.3.4:5", "1.2.3.4:-5", "1:2:3:4.5", "[::1]:80", "1.2.3.4:99999999999999999999", "@",
	} {
		_, ok := parse4(text)
		require.False(t, ok, text)
	}
}

// Whatever the short way accepts, the long one reads as the same.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"192.0.2.1:80", "01.2.3.4:5", "1.2.3.4:065", "[::ffff:1.2.3.4]:5", "1.2.3:4"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if address, ok := parse4(text); ok {
			long, err := netip.ParseAddrPort(text)
			require.NoError(t, err)
			require.Equal(t, long.Addr(), address)
		}
	})
}
