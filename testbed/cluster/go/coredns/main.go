// CoreDNS with just the plugins that the cluster's Corefile names: all of them take twice as long to build.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/ready"
)

func init() {
	// In the order in which they are asked: CoreDNS's own (plugin.cfg).
	dnsserver.Directives = []string{"ready", "errors", "cache", "kubernetes"}
}

func main() { coremain.Run() }
