package stream_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/stream"
)

// The cases of package encoding/csv's own tests, as far as CSVFormat has what
// they are about, and some of ours.
var csvCases = []struct {
	name   string
	input  string
	format stream.CSVFormat
	want   [][]string
	err    *stream.CSVError
}{
	{
		name:  "simple",
		input: "a,b,c\n",
		want:  [][]string{{"a", "b", "c"}},
	},
	{
		name:  "line ends with a carriage return",
		input: "a,b\r\nc,d\r\n",
		want:  [][]string{{"a", "b"}, {"c", "d"}},
	},
	{
		name:  "carriage return alone is text",
		input: "a,b\rc,d\r\n",
		want:  [][]string{{"a", "b\rc", "d"}},
	},
	{
		name: "RFC 4180",
		input: `#field1,field2,field3
"aaa","bb
b","ccc"
"a,a","b""bb","ccc"
zzz,yyy,xxx
`,
		format: stream.CSVFormat{Comment: '#'},
		want: [][]string{
			{"aaa", "bb\nb", "ccc"},
			{"a,a", `b"bb`, "ccc"},
			{"zzz", "yyy", "xxx"},
		},
	},
	{
		name:  "no end of line at the end",
		input: "a,b,c",
		want:  [][]string{{"a", "b", "c"}},
	},
	{
		name:   "semicolon",
		input:  "a;b;c\n",
		format: stream.CSVFormat{Comma: ';'},
		want:   [][]string{{"a", "b", "c"}},
	},
	{
		name: "several lines in a field",
		input: `"two
line","one line","three
line
field"`,
		want: [][]string{{"two\nline", "one line", "three\nline\nfield"}},
	},
	{
		name:  "blank lines",
		input: "a,b,c\n\n\r\nd,e,f\n\n",
		want:  [][]string{{"a", "b", "c"}, {"d", "e", "f"}},
	},
	{
		name:   "blank lines, any number of fields",
		input:  "a,b,c\n\nd,e\n\n",
		format: stream.CSVFormat{Fields: -1},
		want:   [][]string{{"a", "b", "c"}, {"d", "e"}},
	},
	{
		name:  "leading space is kept",
		input: " a,  b,   c\n",
		want:  [][]string{{" a", "  b", "   c"}},
	},
	{
		name:   "comment",
		input:  "#1,2,3\na,b,c\n#comment",
		format: stream.CSVFormat{Comment: '#'},
		want:   [][]string{{"a", "b", "c"}},
	},
	{
		name:  "no comment",
		input: "#1,2,3\na,b,c",
		want:  [][]string{{"#1", "2", "3"}, {"a", "b", "c"}},
	},
	{
		name:   "comment sign inside a record",
		input:  "a,#b\n\"\n#c\",d\n",
		format: stream.CSVFormat{Comment: '#'},
		want:   [][]string{{"a", "#b"}, {"\n#c", "d"}},
	},
	{
		name:  "bare quotes",
		input: `a "word","1"2",a","b` + "\n",
		err:   &stream.CSVError{Record: 1, Line: 1, Err: stream.ErrBareQuote},
	},
	{
		name:  "bare double quotes",
		input: `a""b,c` + "\n",
		err:   &stream.CSVError{Record: 1, Line: 1, Err: stream.ErrBareQuote},
	},
	{
		name:  "quote at the end of an unquoted field",
		input: `a"` + "\n",
		err:   &stream.CSVError{Record: 1, Line: 1, Err: stream.ErrBareQuote},
	},
	{
		name:  "text behind a quoted field",
		input: `a "word",b` + "\n" + `"a "word"",b` + "\n",
		err:   &stream.CSVError{Record: 1, Line: 1, Err: stream.ErrBareQuote},
	},
	{
		name:  "quoted field with text behind it, on the third line",
		input: "x,y\nx,y\n\"a\"b,c\n",
		want:  [][]string{{"x", "y"}, {"x", "y"}},
		err:   &stream.CSVError{Record: 3, Line: 3, Err: stream.ErrQuote},
	},
	{
		name:  "quoted field that is not closed",
		input: "\"a\nb,c\n",
		err:   &stream.CSVError{Record: 1, Line: 1, Err: stream.ErrQuote},
	},
	{
		name:  "quoted field that is not closed, behind good ones",
		input: "a,b\n\n\"c\nd\",e\nf,\"g\nh",
		want:  [][]string{{"a", "b"}, {"c\nd", "e"}},
		err:   &stream.CSVError{Record: 3, Line: 5, Err: stream.ErrQuote},
	},
	{
		name:  "lone quote",
		input: `"`,
		err:   &stream.CSVError{Record: 1, Line: 1, Err: stream.ErrQuote},
	},
	{
		name:  "quoted nothing",
		input: `"",""` + "\n",
		want:  [][]string{{"", ""}},
	},
	{
		name:  "doubled quotes",
		input: `"""","""""",""""""""` + "\n",
		want:  [][]string{{`"`, `""`, `"""`}},
	},
	{
		name:  "wrong number of fields",
		input: "a,b,c\nd,e",
		want:  [][]string{{"a", "b", "c"}},
		err:   &stream.CSVError{Record: 2, Line: 2, Err: stream.ErrFieldCount},
	},
	{
		name:   "number of fields given",
		input:  "a,b\n",
		format: stream.CSVFormat{Fields: 3},
		err:    &stream.CSVError{Record: 1, Line: 1, Err: stream.ErrFieldCount},
	},
	{
		name:   "trailing commas",
		input:  "a,b,c,\n,,\n",
		format: stream.CSVFormat{Fields: -1},
		want:   [][]string{{"a", "b", "c", ""}, {"", "", ""}},
	},
	{
		name:  "one field",
		input: "a\nb\n",
		want:  [][]string{{"a"}, {"b"}},
	},
	{
		name:  "carriage returns before the end of a line",
		input: "a\r\r\n\"b\r\nc\"\r\n",
		want:  [][]string{{"a\r"}, {"b\nc"}},
	},
	{
		name:  "carriage return at the end",
		input: "a,b\r",
		want:  [][]string{{"a", "b"}},
	},
	{
		name:  "carriage return behind a quoted field",
		input: "\"a\"\r\n\"b\"\r",
		want:  [][]string{{"a"}, {"b"}},
	},
	{
		name:  "not UTF-8",
		input: "\xff,\xfe\n\"\xff\n\xfe\",x\n",
		want:  [][]string{{"\xff", "\xfe"}, {"\xff\n\xfe", "x"}},
	},
	{
		name:   "tabs",
		input:  "a\tb\n\"c\td\"\te\n",
		format: stream.CSVFormat{Comma: '\t'},
		want:   [][]string{{"a", "b"}, {"c\td", "e"}},
	},
	{
		name:  "empty",
		input: "",
	},
	{
		name:  "nothing but empty lines",
		input: "\n\r\n\n\r",
	},
}

func TestCSVReadsAsEncodingCSV(t *testing.T) {
	for _, c := range csvCases {
		t.Run(c.name, func(t *testing.T) {
			for cut := range len(c.input) + 1 {
				got, err := stream.CSV(inChunks(c.input, cut, 1), c.format).Collect(t.Context())
				if c.err != nil {
					require.Equal(t, c.err, err)
					require.ErrorIs(t, err, c.err.Err)
				} else {
					require.NoError(t, err)
				}
				require.Equal(t, c.want, got)
				compareCSV(t, c.input, []byte{byte(cut)}, c.format)
			}
		})
	}
}

func TestCSVRecordsAreTheReceiversToKeep(t *testing.T) {
	var input strings.Builder
	for range 1000 {
		input.WriteString("some,\"quoted \"\"text\"\"\",fields\n")
	}
	got, err := stream.CSV(inChunks(input.String(), 7, 100, 1000), stream.CSVFormat{}).Collect(t.Context())
	require.NoError(t, err)
	require.Len(t, got, 1000)
	for _, record := range got {
		require.Equal(t, []string{"some", `quoted "text"`, "fields"}, record)
		_ = append(record[:1:1], "changed")
	}
}

func TestCSVBoundsARecordNotOnlyALine(t *testing.T) {
	for cut := range 12 {
		s := inChunks("ok,\"1\n2\"\nx,\"1234\n5678\"\n", cut)
		for _, count := range []func() (int, error){
			func() (int, error) { return stream.CSV(s, stream.CSVFormat{MaxLen: 10}).Count(t.Context()) },
			func() (int, error) { return stream.Records(s, stream.CSVFormat{MaxLen: 10}).Count(t.Context()) },
		} {
			n, err := count()
			require.Equal(t, 1, n)
			require.Equal(t, &stream.TooLongError{Limit: 10, Offset: 9, Index: 1}, err)
		}
	}
	_, err := stream.CSV(inChunks("a,b,c,d\n"), stream.CSVFormat{MaxLen: 6}).Count(t.Context())
	require.ErrorIs(t, err, stream.ErrTooLong)
}

func TestRecordsPassOverMalformedFields(t *testing.T) {
	got := pieces(t, stream.Records(inChunks("5\" pipe,x\n\"a\"b,\"c\nd\"\n"), stream.CSVFormat{}))
	require.Equal(t, []string{`5" pipe,x`, "\"a\"b,\"c\nd\""}, got)
	_, err := stream.Records(inChunks("a,\"b\nc"), stream.CSVFormat{}).Count(t.Context())
	require.ErrorIs(t, err, stream.ErrQuote)
}

func TestCSVErrorsSayWhatAndWhere(t *testing.T) {
	for want, err := range map[string]error{
		"stream: record 7 on line 9: stream: wrong number of fields":                     &stream.CSVError{Record: 7, Line: 9, Err: stream.ErrFieldCount},
		"stream: record 1 on line 2: stream: quote in an unquoted field":                 &stream.CSVError{Record: 1, Line: 2, Err: stream.ErrBareQuote},
		"stream: record 1 on line 1: stream: quoted field not closed, or text behind it": &stream.CSVError{Record: 1, Line: 1, Err: stream.ErrQuote},
		"stream: piece 3 at byte 20 is longer than 10 bytes":                             &stream.TooLongError{Limit: 10, Offset: 20, Index: 2},
		"stream: panic on a goroutine of a stage: boom\n\nstack":                         &stream.PanicError{Value: "boom", Stack: []byte("stack")},
	} {
		require.EqualError(t, err, want)
	}
	require.NotErrorIs(t, &stream.TooLongError{}, stream.ErrTimeout)
	require.NotErrorIs(t, &stream.TimeoutError{}, stream.ErrTooLong)
	require.Equal(t, errTest, errors.Unwrap(&stream.PanicError{Value: errTest}))
}
