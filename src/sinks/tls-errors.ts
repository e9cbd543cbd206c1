const TLS = /^(ERR_TLS_|ERR_SSL_|EPROTO$|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|CERT_)/

/** Whether the code is one of Node's for TLS handshakes that trying again does not mend: certificates, protocol versions, no TLS on the other side. */
export function isTlsError(code: unknown): boolean {
  return typeof code === 'string' && TLS.test(code)
}
