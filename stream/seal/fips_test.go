package seal_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// sealUnderFIPS is the child of TestFIPSOnlyModeIsAClearError.
func sealUnderFIPS() int {
	_, err := newSealer().Writer(io.Discard, nil)
	fmt.Println(err)
	return 0
}

// The standard library does not let us choose nonces in this mode, and there is
// no other way to make this format.
func TestFIPSOnlyModeIsAClearError(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"=fips", "GODEBUG=fips140=only")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "seal: AES-GCM: ")
	require.Contains(t, string(out), "FIPS 140-only")
}
