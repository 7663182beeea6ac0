FROM scratch
COPY valkey-operator /usr/local/bin/
USER 65532:65532
ENV PATH=/usr/local/bin
ENTRYPOINT ["valkey-operator"]
