package contract_test

import "testing"

func TestContractDoneBeforeCall(t *testing.T)           {}
func TestContractDoneWhileWaiting(t *testing.T)         {}
func TestContractErrorMatchesErrAndCause(t *testing.T)  {}
func TestContractFnContextDerives(t *testing.T)         {}
func TestContractCancelDoesNotReachOthers(t *testing.T) {}
func TestContractFnErrorUnwrapped(t *testing.T)         {}
func TestContractCloseIdempotent(t *testing.T)          {}
func TestContractClosedRefuses(t *testing.T)            {}
func TestSynctestSafe(t *testing.T)                     {}
func FuzzModel(f *testing.F)                            {}
