// Package esapi has the answer that KEDA's scalers read.
package esapi

import "io"

// Response is an answer of Elasticsearch's.
type Response struct {
	StatusCode int
	Body       io.ReadCloser
}

// IsError says whether the status is one of an error.
func (r *Response) IsError() bool { return r.StatusCode > 299 }
