// Package elasticsearch stands where Elastic's client would be: what KEDA's scalers name of it, and every call fails.
//
// The client is a thousand generated packages, a quarter of what building KEDA takes, and Slipway renders no
// trigger that asks Elasticsearch.
package elasticsearch

import (
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/elastic/elastic-transport-go/v8/elastictransport"

	"github.com/elastic/go-elasticsearch/v9/esapi"
)

var errAbsent = errors.New("this build of KEDA has no Elasticsearch client")

// Client has what KEDA's scalers call.
type Client struct {
	Search         Search
	SearchTemplate SearchTemplate
}

// Option is an argument of New.
type Option func(*Client)

// New fails.
func New(...Option) (*Client, error) { return nil, errAbsent }

// WithTransportOptions does nothing, as the other options do.
func WithTransportOptions(...elastictransport.Option) Option { return nil }

// WithCloudID does nothing.
func WithCloudID(string) Option { return nil }

// WithAPIKey does nothing.
func WithAPIKey(string) Option { return nil }

// WithAddresses does nothing.
func WithAddresses(...string) Option { return nil }

// WithBasicAuth does nothing.
func WithBasicAuth(string, string) Option { return nil }

// Info fails.
func (*Client) Info() (*esapi.Response, error) { return nil, errAbsent }

// Perform fails.
func (*Client) Perform(*http.Request) (*http.Response, error) { return nil, errAbsent }

// Request is what options of a search would change.
type Request struct{}

// Search is a search by a query.
type Search func(...func(*Request)) (*esapi.Response, error)

// WithIndex does nothing.
func (Search) WithIndex(...string) func(*Request) { return nil }

// WithBody does nothing.
func (Search) WithBody(io.Reader) func(*Request) { return nil }

// WithContext does nothing.
func (Search) WithContext(context.Context) func(*Request) { return nil }

// SearchTemplate is a search by a template.
type SearchTemplate func(io.Reader, ...func(*Request)) (*esapi.Response, error)

// WithIndex does nothing.
func (SearchTemplate) WithIndex(...string) func(*Request) { return nil }

// WithContext does nothing.
func (SearchTemplate) WithContext(context.Context) func(*Request) { return nil }
