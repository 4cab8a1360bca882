# A root of your own, and intermediate authorities below it. See README.md.
include $(dir $(lastword $(MAKEFILE_LIST)))common.mk

.PHONY: help root-ca
help:
	@echo "make -f $(firstword $(MAKEFILE_LIST)) root-ca         root-key.pem and root-cert.pem"
	@echo "make -f $(firstword $(MAKEFILE_LIST)) NAME-cacerts    NAME/ with the files of the secret cacerts"

root-ca: root-cert.pem

root-key.pem:
	$(private) openssl genrsa -out $@ $(ROOTCA_KEYSZ)

root-cert.pem: root-key.pem
	openssl req -x509 -new -sha256 -days $(ROOTCA_DAYS) -key $< -subj "/O=$(ROOTCA_ORG)/CN=$(ROOTCA_CN)" \
	  -addext 'basicConstraints=critical,CA:true' -addext 'keyUsage=critical,digitalSignature,keyCertSign,cRLSign' -out $@

%-cacerts: root-cert.pem root-key.pem
	$(call intermediate,$*)
