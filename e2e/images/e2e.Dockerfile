# The client of the fault tests: writes all the time and knows afterwards what must be there.
FROM scratch
COPY writer /usr/local/bin/
USER 65532:65532
ENV PATH=/usr/local/bin
ENTRYPOINT ["writer"]
