package apps_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/caddyws/caddy-websocket/apps"
)

func TestRefusalsKeepTheirError(t *testing.T) {
	cause := errors.New("no")
	refused := apps.Refuse(cause)
	if !apps.IsRefusal(refused) || !apps.IsRefusal(fmt.Errorf("more: %w", refused)) || refused.Error() != "no" || !errors.Is(refused, cause) {
		t.Errorf("%v is no refusal of %v", refused, cause)
	}
	for _, err := range []error{nil, cause, &apps.CloseError{Code: 1000}} {
		if apps.IsRefusal(err) {
			t.Errorf("%v is a refusal", err)
		}
	}
}
