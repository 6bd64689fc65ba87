package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"
)

// process is a failing server that we started, or a stranger's at a URL.
type process struct {
	url   string
	cmd   *exec.Cmd // nil for a stranger's
	stdin io.Closer // closing it ends the server
}

// launch starts a copy of this program as the server and reads its address.
func launch(step time.Duration) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), serveEnv+"="+step.String())
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the server: %w", err)
	}
	p := &process{cmd: cmd, stdin: stdin}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the server did not say its address: %w", err), p.stop())
	}
	p.url = strings.TrimSpace(line)
	return p, nil
}

// stop ends the server and waits for the process, so that none is left behind.
func (p *process) stop() error {
	if p.cmd == nil {
		return nil
	}
	_ = p.stdin.Close()
	if err := p.cmd.Wait(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		return err
	}
	return nil
}

// begin starts the script.
func (p *process) begin(ctx context.Context, client *http.Client) error {
	if p.cmd == nil {
		return nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url+"/start", nil)
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	return res.Body.Close()
}

// seen asks how many requests arrived in each phase; nil for a stranger's.
func (p *process) seen(ctx context.Context, client *http.Client) ([]uint64, error) {
	if p.cmd == nil {
		return nil, nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/seen", nil)
	if err != nil {
		return nil, err
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	var counts []uint64
	return counts, json.NewDecoder(res.Body).Decode(&counts)
}
