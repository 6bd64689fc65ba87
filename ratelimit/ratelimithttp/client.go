package ratelimithttp

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Client says how the address of a request's client is found. The zero Client
// is right where clients connect to the server itself, and safe everywhere.
// Set one of TrustedProxies, TrustedHops and Header at most.
type Client struct {
	// TrustedProxies are the addresses of proxies that append the address of
	// their client to X-Forwarded-For. The addresses are read from the last
	// to the first, beginning with that of the connection, and the first that
	// is not of a proxy is the client.
	TrustedProxies []netip.Prefix

	// TrustedHops is how many such proxies there are before the server, all
	// of them on the way of each request. The client is the address that the
	// outermost one has appended.
	TrustedHops int

	// Header names a field that a proxy sets to the address of the client,
	// replacing what the client may have sent, such as CF-Connecting-IP.
	// Nothing else is looked at then.
	Header string

	// IPv6Bits is how many bits of an IPv6 address tell clients apart. Zero
	// means 64, the smallest network that a client is given.
	IPv6Bits int
}

type clientFinder struct {
	Client
}

// compile checks c and fills in its defaults.
func (c Client) compile() (*clientFinder, error) {
	if c.IPv6Bits == 0 {
		c.IPv6Bits = 64
	}
	if c.IPv6Bits < 1 || c.IPv6Bits > 128 {
		return nil, fmt.Errorf("ratelimithttp: Client.IPv6Bits is %d, want 0 to 128", c.IPv6Bits)
	}
	if c.TrustedHops < 0 {
		return nil, fmt.Errorf("ratelimithttp: Client.TrustedHops is %d, want ≥ 0", c.TrustedHops)
	}
	ways := 0
	for _, set := range []bool{len(c.TrustedProxies) > 0, c.TrustedHops > 0, c.Header != ""} {
		if set {
			ways++
		}
	}
	if ways > 1 {
		return nil, fmt.Errorf("ratelimithttp: Client has %d ways to find the address, want one of TrustedProxies, TrustedHops and Header", ways)
	}
	for _, p := range c.TrustedProxies {
		if !p.IsValid() {
			return nil, fmt.Errorf("ratelimithttp: Client.TrustedProxies has %v, want valid prefixes", p)
		}
	}
	c.Header = http.CanonicalHeaderKey(c.Header)
	return &clientFinder{c}, nil
}

// find returns the client of r as the network that stands for it.
func (c *clientFinder) find(r *http.Request) (netip.Prefix, bool) {
	var address netip.Addr
	var ok bool
	switch {
	case c.Header != "":
		values := r.Header[c.Header]
		if len(values) != 1 {
			return netip.Prefix{}, false // not set, or by two, one of whom is not the proxy
		}
		address, ok = parse(strings.TrimSpace(values[0]))
	case c.TrustedHops > 0:
		address, ok = c.byHops(r)
	case len(c.TrustedProxies) > 0:
		address, ok = c.byProxies(r)
	default:
		address, ok = parse(r.RemoteAddr)
	}
	switch {
	case !ok:
		return netip.Prefix{}, false
	case address.Is4():
		return netip.PrefixFrom(address, 32), true
	}
	prefix, err := address.Prefix(c.IPv6Bits)
	return prefix, err == nil
}

// byHops returns the address that the outermost proxy has appended.
func (c *clientFinder) byHops(r *http.Request) (netip.Addr, bool) {
	left := c.TrustedHops
	for value := range fromTheLast(r.Header["X-Forwarded-For"]) {
		if left--; left == 0 {
			return parse(strings.TrimSpace(value))
		}
	}
	return netip.Addr{}, false // it did not come through all the proxies
}

// byProxies returns the last address that is not of a proxy; if all are, the
// first of them.
func (c *clientFinder) byProxies(r *http.Request) (netip.Addr, bool) {
	address, ok := parse(r.RemoteAddr)
	if !ok || !c.trusted(address) {
		return address, ok
	}
	for value := range fromTheLast(r.Header["X-Forwarded-For"]) {
		if address, ok = parse(strings.TrimSpace(value)); !ok || !c.trusted(address) {
			return address, ok
		}
	}
	return address, ok
}

func (c *clientFinder) trusted(address netip.Addr) bool {
	for _, p := range c.TrustedProxies {
		if p.Contains(address) {
			return true
		}
	}
	return false
}

// fromTheLast ranges over the members of a list in several fields, from the
// last to the first.
func fromTheLast(fields []string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for _, rest := range slices.Backward(fields) {
			for more := true; more; {
				var last string
				if at := strings.LastIndexByte(rest, ','); at >= 0 {
					rest, last = rest[:at], rest[at+1:]
				} else {
					last, more = rest, false
				}
				if !yield(last) {
					return
				}
			}
		}
	}
}

// parse reads an address with or without a port. Brackets and zones are left
// off, and IPv4 addresses in IPv6 are IPv4.
func parse(text string) (netip.Addr, bool) {
	if address, ok := parse4(text); ok {
		return address, true
	}
	if address, err := netip.ParseAddrPort(text); err == nil {
		return address.Addr().Unmap().WithZone(""), true
	}
	if inner, ok := strings.CutPrefix(text, "["); ok {
		if inner, ok = strings.CutSuffix(inner, "]"); ok {
			text = inner
		}
	}
	address, err := netip.ParseAddr(text)
	return address.Unmap().WithZone(""), err == nil
}

// parse4 reads what most connections come from, an IPv4 address and a port,
// without the generality of netip.ParseAddrPort. What it does not know it
// leaves to that.
func parse4(text string) (netip.Addr, bool) {
	var bytes [4]byte
	for i := range bytes {
		value, rest := digits(text, 255)
		if rest == "" || value < 0 || (rest[0] != '.' || i == 3) && (rest[0] != ':' || i < 3) {
			return netip.Addr{}, false
		}
		bytes[i], text = byte(value), rest[1:]
	}
	port, rest := digits(text, 65535)
	return netip.AddrFrom4(bytes), port >= 0 && rest == ""
}

// digits reads a decimal number at the head of text, and returns what follows.
// The number is negative if there is none, it has a leading zero, or it is
// larger than most.
func digits(text string, most int) (n int, rest string) {
	i := 0
	for i < len(text) && text[i]-'0' <= 9 {
		n = 10*n + int(text[i]-'0')
		if i++; n > most {
			return -1, text
		}
	}
	if i == 0 || i > 1 && text[0] == '0' {
		return -1, text
	}
	return n, text[i:]
}

// pass is the function that a permit is for, when what matters comes later.
func pass(context.Context) error { return nil }
