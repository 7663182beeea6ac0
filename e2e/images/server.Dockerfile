# One static program and its client: no shell, no package, nothing else to patch.
FROM scratch
COPY valkey-server valkey-cli /usr/local/bin/
COPY links/ /usr/local/bin/
# The user of the official image, so that a volume that one has written can be read by the other.
COPY --chown=999:999 data /data
USER 999:999
WORKDIR /data
VOLUME /data
ENV PATH=/usr/local/bin
EXPOSE 6379
ENTRYPOINT ["valkey-server"]
