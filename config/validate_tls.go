package config

import (
	"fmt"
	"slices"
	"strings"
)

// privateDomains can't have public certificates.
var privateDomains = []string{"home.arpa", "internal", "lan", "home", "corp", "test", "example", "intranet", "private"}

func (c *checker) validateTLS() {
	tls := &c.cfg.TLS
	if !c.oneOf(TLSIssuer, "tls.issuer", tls.Issuer, "internal", "letsencrypt") {
		return
	}
	const path = "tls.letsencrypt"
	acme := tls.LetsEncrypt
	if acme == nil {
		if tls.Issuer == "letsencrypt" {
			c.add(LetsEncryptMissing, path, "", "say email, provider and apiToken, or set tls.issuer: internal")
		}
		return
	}
	if acme.Email == "" {
		c.add(LetsEncryptEmail, path+".email", "", "say the mail address of the ACME account")
	} else {
		c.email(LetsEncryptEmail, path+".email", acme.Email)
	}
	if !acme.APIToken.IsSet() {
		c.add(LetsEncryptCredentials, path+".apiToken", "", "say what the DNS-01 solver logs in with: "+
			"pulumi config set --secret --path '%s%s.apiToken'", prefix, path)
	}
	if c.oneOf(LetsEncryptProvider, path+".provider", acme.Provider, "cloudflare", "digitalocean", "route53", "rfc2136") {
		c.validateSolver(path, acme)
	}
	for i, server := range acme.RecursiveNameservers {
		c.hostPort(fmt.Sprintf("%s.recursiveNameservers[%d]", path, i), server)
	}
	c.unique(path+".recursiveNameservers", acme.RecursiveNameservers)
	if tls.Issuer != "letsencrypt" || !c.fine("domain") {
		return
	}
	if slices.ContainsFunc(privateDomains, func(private string) bool { return strings.HasSuffix("."+c.cfg.Domain, "."+private) }) {
		c.add(LetsEncryptDomain, "tls.issuer", tls.Issuer, "Let's Encrypt signs public names only; "+
			"take a domain that you own, or set tls.issuer: internal")
	}
}

func (c *checker) validateSolver(path string, acme *LetsEncrypt) {
	switch acme.Provider {
	case "route53":
		if acme.AccessKeyID == "" {
			c.add(LetsEncryptCredentials, path+".accessKeyID", "", "route53 logs in with an access key id and apiToken, its secret")
		}
	case "rfc2136":
		if acme.Nameserver == "" {
			c.add(LetsEncryptNameserver, path+".nameserver", "", "rfc2136 needs the name server that takes updates, as host:port")
		} else {
			c.hostPort(path+".nameserver", acme.Nameserver)
		}
		if acme.TSIGKeyName == "" {
			c.add(LetsEncryptCredentials, path+".tsigKeyName", "", "rfc2136 signs with a named TSIG key and apiToken, its secret")
		}
		c.oneOf(TSIGAlgorithm, path+".tsigAlgorithm", acme.TSIGAlgorithm, "HMACMD5", "HMACSHA1", "HMACSHA256", "HMACSHA512")
	}
}

func (c *checker) validateSignIn() {
	signIn := &c.cfg.SignIn
	if !c.oneOf(SignInProvider, "signIn.provider", signIn.Provider, "gitlab", "oidc", "local") {
		return
	}
	if signIn.Provider == "gitlab" && !c.cfg.Services.GitLab.On() {
		c.add(SignInWithoutGitLab, "signIn.provider", signIn.Provider,
			"GitLab is off (services.gitlab.enabled: false); take local or oidc, or switch it on")
	}
	oidc := signIn.OIDC
	if oidc == nil {
		if signIn.Provider == "oidc" {
			c.add(OIDCIncomplete, "signIn.oidc", "", "say issuerURL, clientID and clientSecret of your provider")
		}
	} else {
		if oidc.IssuerURL == "" {
			c.add(OIDCIncomplete, "signIn.oidc.issuerURL", "", "say the https URL of your provider")
		} else {
			c.url(URL, "signIn.oidc.issuerURL", oidc.IssuerURL, "https")
		}
		if oidc.ClientID == "" {
			c.add(OIDCIncomplete, "signIn.oidc.clientID", "", "say the client id that your provider gave to the lab")
		}
		if !oidc.ClientSecret.IsSet() {
			c.add(OIDCIncomplete, "signIn.oidc.clientSecret", "", "say the client's secret: "+
				"pulumi config set --secret --path '%ssignIn.oidc.clientSecret'", prefix)
		}
	}
	for _, groups := range []struct {
		path  string
		names []string
	}{
		{"access.admins", c.cfg.Access.Admins},
		{"access.developers", c.cfg.Access.Developers},
		{"access.viewers", c.cfg.Access.Viewers},
	} {
		for i, name := range groups.names {
			c.required(fmt.Sprintf("%s[%d]", groups.path, i), name, "name a group, or remove the entry")
		}
		c.unique(groups.path, groups.names)
	}
}
