# The real Valkey in the place of valkey/valkey, for tests on a machine that can pull no image.
FROM scratch
COPY root /
COPY --chown=999:999 data /data
USER 999:999
WORKDIR /data
VOLUME /data
ENV PATH=/usr/local/bin
EXPOSE 6379
CMD ["valkey-server"]
